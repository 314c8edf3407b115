"""Run one case after another, each in a process of its own with limits, and judge how it ended.

The central type is `Outcome`. A server process imports the library once and forks for every case, so that a case costs
milliseconds and no case sees another. `Sandbox.run` gives a case a folder of its own and judges what it leaves there.
"""

import contextlib
import io
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

MEMORY = 3 * 2**30  # bytes that a case may take beyond what the server has
SECONDS = 60  # that a case may take; a case of the suite takes a second at most
LINE = 300  # characters that a line may have, the command's name in front not counted

# No case may ask a site for anything.
TESTS = Path(__file__).resolve().parent.parent
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(map(str, (TESTS.parent, TESTS))),
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
}

GOOD = ("done", "refused", "out of memory")


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes:
        kind: "done", "refused" (with one line that says why), "out of memory" (the limit, said in one line); or a
            failure: "signal", "hang", "traceback", "exit code", "no reason", "long line", "half-written", "changed".
        detail: the line, or what was seen instead.
        seconds: how long it took.
        memory: the most that it had, in bytes.
    """

    kind: str
    detail: str
    seconds: float
    memory: int

    @property
    def good(self):
        return self.kind in GOOD


class Sandbox:
    """A server that runs cases one at a time; use it in a `with` statement.

    Args:
        folder: where the cases' folders are made.
        memory: the limit of each case, in bytes.
        seconds: the limit of each case.
    """

    def __init__(self, folder, memory=MEMORY, seconds=SECONDS):
        self.folder, self.memory, self.seconds = Path(folder), memory, seconds
        self.folder.mkdir(parents=True, exist_ok=True)
        self._number = 0
        self._server = subprocess.Popen(
            [sys.executable, "-c", "from fuzz import sandbox; sandbox.serve()"],
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.folder,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.stdin.close()
        self._server.stdout.close()
        self._server.wait(timeout=self.seconds + 10)

    def run(self, files, *, command=None, call=None, writes=(), look=None):
        """Run one case.

        Args:
            files: {name: bytes}, written into the case's folder before it begins.
            command: the arguments of the `deepdream` command.
            call: instead of `command`, (a module of this folder, a function, its argument), which goes through JSON.
            writes: the names that a successful case, and no other, leaves beside its files. A name ending in / is a
                folder.
            look: a function of a written path that raises if the file is not whole.

        Returns:
            An `Outcome`.

        Raises:
            RuntimeError: the server itself ended.
        """
        self._number += 1
        folder = self.folder / f"case-{self._number}"
        folder.mkdir()
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        request = {
            "folder": str(folder),
            "command": command,
            "call": call,
            "memory": self.memory,
            "seconds": self.seconds,
        }
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()
        if not answer:
            raise RuntimeError("the server of the sandbox has ended; what it said is on standard error")
        reply = json.loads(answer)
        kind, detail = _judge(reply)
        if kind in GOOD:
            kind, detail = _what_it_left(kind, detail, folder, files, writes, look)
        shutil.rmtree(folder)
        return Outcome(kind, detail, reply["seconds"], reply["memory"])


def _judge(reply):
    """(kind, detail) by the exit and by what was said."""
    code, said = reply["code"], reply["said"]
    if reply["hang"]:
        return "hang", f"not done after {reply['seconds']:.0f} s"
    if code < 0:
        return "signal", f"{signal.Signals(-code).name}: {said[-300:]}"
    if "Traceback (most recent call last)" in said:
        return "traceback", said[-1500:]
    longest = max((line.removeprefix("deepdream: ") for line in said.splitlines()), key=len, default="")
    if len(longest) > LINE:
        return "long line", f"{len(longest)} characters: {longest}"
    if code == 0:
        return "done", ""
    last = said.rstrip("\n").rpartition("\n")[2]
    if code != 2:
        return "exit code", f"{code}: {said[-600:]}"
    if " could not be made: " in said:  # a gallery makes the others, and ends with a line that counts
        return "refused", said.partition("\n")[0]
    if (
        not last.startswith("deepdream: ")
        or len(last) < len("deepdream: ") + 10
        or said.count("\ndeepdream: ") + said.startswith("deepdream: ") != 1
    ):
        return "no reason", said[-600:]
    return ("out of memory" if "memory" in last.lower() else "refused"), last


def _what_it_left(kind, detail, folder, files, writes, look):
    """(kind, detail), having looked at the case's folder."""
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    inside = tuple(name for name in writes if name.endswith("/"))
    new = {name for name in left - set(files) if not name.startswith(inside or ("/",))}
    for name, content in files.items():
        if (
            name not in writes
            and not name.startswith(inside or ("/",))
            and (name not in left or (folder / name).read_bytes() != content)
        ):
            return "changed", f"{name} is no longer what it was"
    stray = {name for name in left if Path(name).name.startswith(".") and not name.endswith(".lock")}
    if kind == "done" and new != {name for name in writes if not name.endswith("/")} - set(files):
        return "half-written", f"it should have written {sorted(writes)} and wrote {sorted(new)}"
    if stray or (kind != "done" and new):
        return "half-written", f"it left {sorted(stray | new)}"
    if kind == "done" and look:
        for name in writes:
            if name.endswith("/"):
                continue
            try:
                look(folder / name)
            except Exception as error:  # whatever is wrong with it, it was not to be written
                return "half-written", f"{name}: {type(error).__name__}: {error}"
    return kind, detail


# --- In the server ---------------------------------------------------------------------------------------------------


def serve():
    """Answer each line of standard input, a request, with a line, how the case ended."""
    import av  # noqa: F401  what cases import anyway is imported once
    import cv2  # noqa: F401

    import deepdream.cli.commands
    from fuzz import single  # noqa: F401

    # Typer imports more when it parses its first command.
    nowhere = io.StringIO()
    with contextlib.redirect_stderr(nowhere), contextlib.redirect_stdout(nowhere), contextlib.suppress(SystemExit):
        deepdream.cli.main(["classify", "no such file"])
    replies = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        print(json.dumps(_in_a_child(json.loads(line))), file=replies, flush=True)


def _in_a_child(request):
    said = os.memfd_create("said")
    began = time.monotonic()
    child = os.fork()
    if not child:
        _be_the_case(request, said)
    hang = not _ended(child, request["seconds"])
    if hang:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    os.lseek(said, 0, os.SEEK_SET)
    with os.fdopen(said, "rb") as file:
        text = file.read(200_000).decode(errors="replace")
    return {
        "code": os.waitstatus_to_exitcode(status),
        "hang": hang,
        "said": text,
        "seconds": time.monotonic() - began,
        "memory": usage.ru_maxrss * 1024,
    }


def _ended(child, seconds):
    waiter = os.pidfd_open(child)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(waiter, selectors.EVENT_READ)
            return bool(selector.select(seconds))
    finally:
        os.close(waiter)


def _be_the_case(request, said):
    import importlib
    import resource
    import traceback

    code = 3
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for number, file in ((0, null), (1, null), (2, said)):
            os.dup2(file, number)
        os.chdir(request["folder"])
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        limit = _data_size() + request["memory"]
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        if request["command"] is not None:
            from deepdream.cli import main

            main(request["command"])
        else:
            module, function, argument = request["call"]
            code = getattr(importlib.import_module(f"fuzz.{module}"), function)(argument) or 0
    except SystemExit as done:
        code = done.code or 0
    except BaseException:  # it is what the case is about
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _data_size():
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell a process's size; the sandbox needs Linux")
