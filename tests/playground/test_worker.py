"""The process that dreams."""

from deepdream import Recipe
from deepdream.errors import DreamError
from deepdream.playground.uploads import Picture
from deepdream.playground.worker import Failed, Job, serve


def test_the_worker_says_what_it_could_not_do(monkeypatch):
    """A lack of memory and a mistake of ours end in a message, and in a fresh process."""

    class Pipe(list):
        def __init__(self, jobs):
            self.jobs = jobs

        def poll(self, timeout=0):
            return bool(self.jobs)

        def recv(self):
            return self.jobs.pop(0)

        send = list.append

    errors = [
        MemoryError(),
        RuntimeError("host allocation of size 8 failed"),
        ZeroDivisionError("by zero"),
        DreamError("no"),
    ]
    pipe = Pipe([Job(Recipe(model="m", seed=1), Picture("cat"))] * 4)
    monkeypatch.setattr("deepdream.playground.worker.load", lambda *_, **__: (_ for _ in ()).throw(errors.pop(0)))
    serve(pipe, 1)
    memory = "Not enough memory; choose a smaller size, or fewer pictures at once"
    assert list(pipe) == [
        Failed(memory, True),
        Failed(memory, True),
        Failed("ZeroDivisionError: by zero", True),
        Failed("no"),
    ]
