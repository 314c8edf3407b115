"""Write a file of CUDA anew with the thread's own stream in its launches (compat/cuda/launch_stream.hpp).

kernel<<<grid, block>>> becomes kernel<<<grid, block, 0, caffe_compat::launch_stream>>>.

python3 launches.py kernels.cu rewritten.cu
"""

import re
import sys
from pathlib import Path

LAUNCH = re.compile(r"<<<(.*?)>>>", re.DOTALL)
STREAM = "0, caffe_compat::launch_stream"


def with_stream(launch):
    """The launch with a stream, unless it names one itself."""
    arguments = launch[1]
    return f"<<<{arguments}, {STREAM}>>>" if _commas(arguments) == 1 else launch[0]


def _commas(arguments):
    """How many commas there are outside of brackets."""
    depth, found = 0, 0
    for character in arguments:
        depth += (character in "([{") - (character in ")]}")
        found += character == "," and depth == 0
    return found


def main():
    source, target = map(Path, sys.argv[1:])
    text = LAUNCH.sub(with_stream, source.read_text(encoding="utf-8"))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f'#line 1 "{source.name}"\n{text}', encoding="utf-8")


if __name__ == "__main__":
    main()
