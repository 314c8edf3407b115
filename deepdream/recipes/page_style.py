"""What the HTML pages have in common: their colours, which follow the reader's choice of a dark or light scheme."""

COLOURS = """\
:root { color-scheme: light dark; --ink: #23262b; --soft: #5d6470; --paper: #f7f6f3; --card: #fff; --line: #e2dfd8;
  --link: #2a5f9e }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e2dd; --soft: #9ba1ab; --paper: #16181b; --card: #1e2125; --line: #30343a; --link: #8ab8ec } }"""
