"""`python -m deepdream`: the command."""

from .cli import main

main()
