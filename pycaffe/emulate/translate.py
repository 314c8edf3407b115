"""Write a file of CUDA as C++ for the emulator.

kernel<<<grid, block>>>(...) becomes emulate::launch([](auto... arguments) { kernel(arguments...); }, grid, block)(...).

python3 translate.py kernels.cu kernels.cpp
"""

import re
import sys
from pathlib import Path

# The kernel's name, with its template arguments and a comment; what is between the brackets.
LAUNCH = re.compile(r"((?:\w+(?:::|##))*\w+\s*(?:<[^<>;{}()]*>)?(?:\s|//[^\n]*\n)*)<<<(.*?)>>>", re.DOTALL)


def translate(text):
    """The text with its launches translated; each stays on its line."""
    translated = LAUNCH.sub(r"emulate::launch([](auto... arguments) { \1(arguments...); }, \2)", text)
    if "<<<" in translated:
        raise ValueError(f"a launch was not understood: {translated[translated.index('<<<') - 80 :][:160]!r}")
    return translated


def main():
    source, target = map(Path, sys.argv[1:])
    text = f'#include <cuda_runtime.h>\n#line 1 "{source.name}"\n{translate(source.read_text(encoding="utf-8"))}'
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
