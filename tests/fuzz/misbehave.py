"""What the sandbox must notice."""

import os
import signal
import sys
import time
from pathlib import Path


def ok(_):
    pass


def refuse(_):
    print("deepdream: this is not what it should be", file=sys.stderr)
    return 2


def die(_):
    os.kill(os.getpid(), signal.SIGSEGV)


def wait(_):
    time.sleep(60)


def raise_(_):
    raise ValueError("nobody caught it")


def leave(_):
    return 7


def ramble(_):
    print(f"deepdream: it is {'far ' * 80}too long; shorten it", file=sys.stderr)
    return 2


def mumble(_):
    print("no", file=sys.stderr)
    return 2


def litter(_):
    Path(".half").write_text("hal", encoding="ascii")


def spoil(_):
    Path("there").write_text("after", encoding="ascii")


def eat(_):
    try:
        bytearray(2**30)
    except MemoryError:
        print("deepdream: not enough memory", file=sys.stderr)
        return 2
