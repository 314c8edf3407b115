"""Copy upstream's Python package, mend what time broke in it, and add ours.

Each mend is a substitution that must fit exactly.

    python3 mend.py UPSTREAM/python/caffe TARGET
"""

import re
import shutil
import sys
from pathlib import Path

import recipe
import variant

# file, pattern, replacement, how often it must be found. A count that differs means another upstream than the one
# these were written for.
MENDS = [
    # scikit-image spells the argument as_gray since 0.16.
    ("io.py", r"\bas_grey=", "as_gray=", 1),
    # NumPy 2 has neither ndarray.tostring nor a binary fromstring.
    ("io.py", r"\.tostring\(\)", ".tobytes()", 1),
    ("io.py", r"\bnp\.fromstring\(", "np.frombuffer(", 1),
    # Grey pictures with an alpha channel have two channels; upstream drops the alpha of four-channel ones only.
    (
        "io.py",
        r"elif img\.shape\[2\] == 4:\n( +)img = img\[:, :, :3\]",
        r"elif img.shape[2] == 4:\n\1img = img[:, :, :3]\n    elif img.shape[2] == 2:\n"
        r"\1img = np.repeat(img[:, :, :1], 3 if color else 1, axis=2)",
        1,
    ),
    # Our loader of the extension module comes first.
    ("__init__.py", r"\Afrom \.pycaffe import", "from . import _kernels\nfrom .pycaffe import", 1),
    # What a failed CHECK raises (binding/module.cpp).
    ("__init__.py", r"from \._caffe import init_log,", "from ._caffe import Error, init_log,", 1),
]


def mend(package):
    for name, pattern, replacement, count in MENDS:
        path = package / name
        text, found = re.subn(pattern, replacement, path.read_text(encoding="utf-8"))
        if found != count:
            sys.exit(f"mend.py: {name}: {pattern!r} found {found} times, expected {count}")
        path.write_text(text, encoding="utf-8")


def main():
    upstream, target = map(Path, sys.argv[1:])
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(upstream, target, ignore=shutil.ignore_patterns("*.cpp", "test", "proto"))
    (target / "proto").mkdir()
    (target / "proto" / "__init__.py").touch()
    mend(target)
    shutil.copytree(
        Path(__file__).resolve().parent / "package",
        target,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (target / "RECIPE").write_text(recipe.digest(variant.kind()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
