"""Prints what environment.yml lists as requirements for pip, a line each, without this project itself."""

from pathlib import Path

import yaml

FILE = Path(__file__).resolve().parent.parent / "environment.yml"


def listed():
    """The two lists of environment.yml: (conda's packages, pip's), as strings."""
    dependencies = yaml.safe_load(FILE.read_text(encoding="utf-8"))["dependencies"]
    conda = [line for line in dependencies if isinstance(line, str)]
    return conda, next(line["pip"] for line in dependencies if isinstance(line, dict))


def requirements():
    """Both lists in pip's words."""
    conda, pip = listed()
    return [line for line in conda if not line.startswith(("python=", "pip"))] + [
        line for line in pip if not line.startswith("--editable")
    ]


if __name__ == "__main__":
    print("\n".join(requirements()))
