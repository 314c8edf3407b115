"""The time from the command to the first iteration: the command itself, stopped after its first gradient."""

import os
import time

import deepdream as dd

# The entry point of the `deepdream` command is not part of the API, but it is timed here; it runs in this process so
# that it can be stopped after its first gradient.
from deepdream.cli import main

from . import contender


def stop_after_first_gradient(begin):
    inner = dd.Net.input_gradient

    def first(*arguments):
        inner(*arguments)
        contender.answer(seconds=time.time() - begin)
        os._exit(0)

    dd.Net.input_gradient = first


if __name__ == "__main__":
    work = contender.asked()
    stop_after_first_gradient(work.begin)
    main(["dream", work.name, "-o", str(work.folder / "never.png"), "--model", work.model])
