"""Commands killed at random moments and run again: the result must be that of a run that was not killed.

    .venv/bin/python tests/fuzz/kills.py --kills 200 --seed 0

A `Scenario` is a command that makes files. It runs once undisturbed, which says what comes out and how long that takes.
Then it is started again and again, its process group is killed (SIGKILL) at a moment drawn from that time, the start of
the interpreter included, and the same command is given once more, which must end well. What is asserted:

- After a kill, each file under a final name is whole: it is the undisturbed run's, or the older one that was there
  before, or, of the kinds that change on the way, can be read to its end.
- After the last run all files are byte for byte those of the undisturbed run, and there are no others.
"""

import argparse
import contextlib
import hashlib
import http.server
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # as pytest has them
from helpers import TINY, command_environment, probe, serving, view, write_clip, write_tiny_model  # noqa: E402

import deepdream as dd  # noqa: E402
from deepdream.data.clouds import clouds  # noqa: E402

TIMEOUT_S = 120  # seconds for a run that nobody kills
_FRAMES = re.compile(r"one/out\.mp4\.frames/(\d{5}\.png|video\.json|video\.npz)")  # there until the film is


@dataclass
class Scenario:
    """A command to be killed.

    Attributes:
        name: what it is called in the counts.
        arguments: of `deepdream`, run in a folder of its own.
        there: {name: path} of files copied into the folder before.
        most: how many times one run is killed before it may end.
        beside: whether another process with the same command and the same cache, in a folder beside, lives on.
        whole: {name: bytes} that come out.
        seconds: how long it takes.
    """

    name: str
    arguments: list
    there: dict = field(default_factory=dict)
    most: int = 1
    beside: bool = False
    whole: dict = field(default_factory=dict)
    seconds: float = 0


class Place:
    """The folders of a run: `one` and `two` to work in, the cache, and the system's temporary folder."""

    def __init__(self, folder, scenario):
        self.folder, self.scenario, self._started = Path(folder), scenario, 0
        self.environment = {
            "HOME": str(self.folder),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "DEEPDREAM_DATA": "",
            "TMPDIR": str(self.folder / "tmp"),
            "no_proxy": "127.0.0.1",
            "FORCE_COLOR": "1",  # shows the progress line where there is no terminal
            "OMP_NUM_THREADS": "1",
        }  # this network is too small for more to be of use
        for name in ("one", "two", "cache", "tmp", "logs"):
            (self.folder / name).mkdir(parents=True)
        for where in ("one", "two"):
            for name, path in scenario.there.items():
                shutil.copyfile(path, self.folder / where / name)

    def start(self, where="one"):
        """Start the command; the process gets a `log`, the path of what it says."""
        self._started += 1
        log = self.folder / "logs" / f"{self._started}"
        with open(log, "wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "deepdream", *self.scenario.arguments],
                stdout=said,
                stderr=said,
                cwd=self.folder / where,
                start_new_session=True,
                env={**command_environment(), **self.environment},
            )
        process.log = log
        return process

    def finish(self, process):
        """Wait for a run that must end well."""
        try:
            code = process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        assert code == 0, f"exit code {code}: {process.log.read_text(errors='replace')[-1500:]}"

    def files(self):
        """({name: path} under final names, {name: path} of what else there is), of both folders and the cache."""
        final, left = {}, {}
        for top in ("one", "two", "cache"):
            for path in sorted((self.folder / top).rglob("*")):
                name = path.relative_to(self.folder)
                hidden = any(part.startswith((".", "tmp")) for part in name.parts)
                if hidden or path.is_file():
                    (left if hidden else final)[str(name)] = path
        return final, left

    def look(self):
        """Assert that every file under a final name is whole; returns how many others there are."""
        final, left = self.files()
        older = {name: path.read_bytes() for name, path in self.scenario.there.items()}
        for name, path in final.items():
            content, expected = path.read_bytes(), self.scenario.whole.get(name.replace("two/", "one/"))
            if content in (expected, older.get(path.name)):
                continue
            assert expected is not None or _FRAMES.fullmatch(name), f"{name} is no name of a result"
            assert path.suffix in (".npz", ".html") or expected is None, f"{name} has another content"
            read_whole(path)
        return len(left)

    def compare(self, beside):
        """Assert that the files are those of the undisturbed run, in both folders if `beside`, and no others."""
        final, left = self.files()
        expected = dict(self.scenario.whole)
        if beside:
            expected.update({name.replace("one/", "two/"): content for name, content in expected.items()})
        else:
            expected.update({f"two/{name}": path.read_bytes() for name, path in self.scenario.there.items()})
        assert sorted(final) == sorted(expected)
        for name, path in final.items():
            assert path.read_bytes() == expected[name], f"{name} is another than without the kill"
        assert not left, f"{', '.join(left)} were left behind"


# Imports the library once and forks for each run, which kills itself before its n-th change in the file system.
_FORKS = """
import json, os, signal, sys
from deepdream.cli import commands, main
import av, cv2, deepdream.dream

def die_before_change(number):
    def hook(event, arguments):
        nonlocal number
        changes = event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link")
        if changes or event == "open" and isinstance(arguments[0], str) and arguments[2] & os.O_CREAT:
            number -= 1
            if number == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

for line in sys.stdin:
    number, folder, environment, arguments = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(folder)
        os.environ.update(environment)
        for stream in (1, 2):
            os.dup2(os.open(os.path.join(environment["HOME"], "logs", "forked"), os.O_CREAT | os.O_WRONLY), stream)
        die_before_change(number)
        main(arguments)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def killed_at_every_change(scenario, folder, first=1):
    """Kill a scenario's run before the `first` of its changes in the file system, another before the next, and so on.

    Args:
        scenario: a `Scenario`.
        folder: an existing folder for its runs.
        first: the number of the first change, counted from 1.

    Returns:
        (how many changes there are, how many of the kills left a temporary file).
    """
    _undisturbed(scenario, folder)
    number, left = first - 1, 0
    environment = {**command_environment(), "OMP_NUM_THREADS": "1"}  # is asked for when the library is imported
    with subprocess.Popen(
        [sys.executable, "-c", _FORKS], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as forks:

        def forked(place, number):
            asked = [number, str(place.folder / "one"), place.environment, scenario.arguments]
            forks.stdin.write(json.dumps(asked) + "\n")
            forks.stdin.flush()
            return int(forks.stdout.readline())

        while True:
            place = Place(folder / f"{scenario.name} {number}", scenario)
            code = forked(place, number + 1)
            if code == 0:
                break
            assert code == -signal.SIGKILL, (place.folder / "logs" / "forked").read_text()
            number += 1
            left += place.look() > 0
            assert forked(place, 0) == 0, (place.folder / "logs" / "forked").read_text()
            place.compare(beside=False)
            shutil.rmtree(place.folder)
    return number, left


def read_whole(path):
    """Read a file to its end; whatever is raised says that it is not whole."""
    if path.suffix == ".png":
        with Image.open(path) as image:
            image.load()
    elif path.suffix in (".mp4", ".gif"):
        probe(path)
    elif path.suffix == ".json":
        dd.Recipe.from_json(path.read_text(encoding="utf-8"))
    elif path.suffix == ".npz":
        assert zipfile.ZipFile(path).testzip() is None
        with np.load(path) as state:
            assert path.with_name(f"{int(state['index']):05d}.png").exists(), "a state without its frame"
    elif path.suffix == ".html":
        assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    else:
        raise AssertionError(f"{path.name} is of a kind that no command writes")


def run(count, seed, folder, report=print, effort=1.0):
    """Kill `count` times, the scenarios one after the other.

    Args:
        count: how many kills.
        seed: of the moments.
        folder: an existing, empty folder.
        report: called with lines of text.
        effort: how much there is to do for the commands; 1 lets each run for a second and more after its start.

    Returns:
        {scenario: counts}. The counts are:

        - "kills"; "already ended": draws that came too late and do not count.
        - "at work": kills that came when the command had begun to say what it does.
        - "same result": of the runs that were killed, once or several times, how many ended as the undisturbed one;
          "failed": what was wrong with the others, whose folders stay.
        - "left by a kill": temporary files in the results' folders and the cache, including those of a process that
          lives on; none of them may be there in the end. "left in TMPDIR": those in the system's temporary folder,
          which the system clears.
    """
    folder, chance, counts = Path(folder), random.Random(seed), {}
    with scenarios(folder, effort) as all_of_them:
        for number, scenario in enumerate(all_of_them.values()):
            wanted = count // len(all_of_them) + (number < count % len(all_of_them))
            alone = next(each for each in all_of_them.values() if each.arguments == scenario.arguments)
            if not alone.whole:
                _undisturbed(alone, folder)
            scenario.whole, scenario.seconds = alone.whole, alone.seconds
            report(f"{scenario.name}: {scenario.seconds:.1f} s, {len(scenario.whole)} files")
            counts[scenario.name] = _killed(scenario, wanted, chance, folder, report)
            report(json.dumps(counts[scenario.name]))
    return counts


@contextlib.contextmanager
def scenarios(folder, effort=1.0):
    """{name: `Scenario`}, whose weights can be fetched within the context.

    Args:
        folder: for what they read.
        effort: as in `run`.

    Yields:
        The scenarios.
    """

    def some(number):
        return max(1, round(number * effort))

    def dream(*arguments, octaves=2, iters=1, model=folder / "tiny-model"):
        return [
            *map(str, arguments),
            "--octaves",
            str(octaves),
            "--iters",
            str(some(iters)),
            "--seed",
            "1",
            "--model",
            str(model),
        ]

    write_tiny_model(folder / "tiny-model")
    weights = write_tiny_model(folder / "far", TINY.replace("num_output: 5", "num_output: 20000")) / "tiny.caffemodel"
    content = weights.read_bytes()  # half a megabyte, which comes in many pieces
    weights.unlink()
    scene = clouds(240, 320), dd.resize(dd.picture("cat"), 40, 48).clip(0, 255)
    clip = write_clip(folder / "in.mp4", [view(scene, index)[0] for index in range(some(12))])
    gallery = folder / "gallery.toml"
    gallery.write_text(
        "".join(
            f'[[picture]]\nname = "n{seed:02}"\ninput = "noise:96x64"\nmodel = "{folder / "tiny-model"}"\n'
            f"seed = {seed}\noctave_n = 2\niter_n = {some(50)}\n"
            for seed in range(some(16))
        ),
        encoding="utf-8",
    )
    older = folder / "older.png"
    dd.write_image(older, np.zeros((8, 8, 3)), dd.Recipe(input="cat", seed=1))
    fetching = dream("dream", "noise:96x64", "-o", "out.png", model=folder / "far")
    made = [
        Scenario("dream", dream("dream", "noise:96x64", "-o", "out.png", octaves=3, iters=1300), {"out.png": older}),
        Scenario(
            "animate",
            dream("dream", "noise:96x64", "-o", "out.png", "--animate", "steps.gif", iters=150),
            {"out.png": older},
        ),
        Scenario(
            "zoom",
            dream("zoom", "noise:96x64", "-o", "run", "--frames", some(16), "--mp4", "film.mp4", iters=65),
            most=3,
        ),
        Scenario("video", dream("video", clip, "out.mp4", iters=50), most=3),
        Scenario("gallery", ["gallery", str(gallery), "-o", "out"], most=3),
        Scenario("download", fetching),
        Scenario("two downloads", fetching, beside=True),
    ]
    with serving(_SlowSite) as site:
        site.content, site.seconds = content, 1.2 * effort
        with open(folder / "far" / "model.toml", "a", encoding="utf-8") as toml:
            toml.write(
                f'size = {len(content)}\nsha256 = "{hashlib.sha256(content).hexdigest()}"\n'
                f'urls = ["{site.address}/tiny.caffemodel"]\n'
            )
        yield {scenario.name: scenario for scenario in made}


class _SlowSite(http.server.BaseHTTPRequestHandler):
    """Sends its one file piece by piece."""

    def do_GET(self):
        content, pieces = self.server.content, 40
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        step = -(-len(content) // pieces)
        with contextlib.suppress(ConnectionError):  # who asked was killed
            for begin in range(0, len(content), step):
                self.wfile.write(content[begin : begin + step])
                time.sleep(self.server.seconds / pieces)

    def log_message(self, *arguments):
        pass


def _undisturbed(scenario, folder):
    """Learn what comes out of a scenario and how long it takes, on the machine as it is now."""
    place = Place(folder / f"{scenario.name} undisturbed", scenario)
    start = time.monotonic()
    place.finish(place.start())
    scenario.seconds = time.monotonic() - start
    if not scenario.whole:
        final, _ = place.files()
        scenario.whole = {name: path.read_bytes() for name, path in final.items() if not name.startswith("two/")}
        for path in final.values():
            if path.suffix != ".caffemodel":
                read_whole(path)
    place.compare(beside=False)
    shutil.rmtree(place.folder)


def _killed(scenario, wanted, chance, folder, report):
    counts = dict.fromkeys(("kills", "already ended", "at work", "same result", "left by a kill", "left in TMPDIR"), 0)
    counts["failed"] = []
    number = 0
    while counts["kills"] < wanted and len(counts["failed"]) < 5:
        if number % 5 == 4:
            _undisturbed(scenario, folder)  # others may have begun to use the machine, or left it
        number += 1
        place, moments = Place(folder / f"{scenario.name} {number}", scenario), []
        times = min(chance.randint(1, scenario.most), wanted - counts["kills"])
        try:
            killed = _kill_some(place, times, chance, counts, moments)
            place.compare(scenario.beside)
        except Exception as error:
            counts["failed"].append(f"{place.folder}, killed after {moments} s: {type(error).__name__}: {error}")
            report(counts["failed"][-1])
            continue
        counts["same result"] += killed > 0
        counts["left in TMPDIR"] += len(os.listdir(place.folder / "tmp"))
        report(
            f"{scenario.name} {counts['kills']}/{wanted}: {', '.join(f'{each:.2f}' for each in moments)} of "
            f"{scenario.seconds:.2f} s"
        )
        shutil.rmtree(place.folder)
    return counts


def _kill_some(place, times, chance, counts, moments):
    """Kill a run so many times, then let it end. Returns how many times it had not ended before."""
    killed, again = 0, []
    for _ in range(times):
        moment = chance.uniform(0, place.scenario.seconds)
        other_first = place.scenario.beside and chance.random() < 0.5
        others = [place.start("two")] if other_first else []
        start = time.monotonic()
        process = place.start()
        if place.scenario.beside and not other_first:
            others.append(place.start("two"))
        try:
            process.wait(max(0, start + moment - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        ended = process.wait() != -signal.SIGKILL
        if ended:
            place.finish(process)
            counts["already ended"] += 1
        else:
            killed += 1
            moments.append(moment)
            counts["kills"] += 1
            counts["at work"] += process.log.stat().st_size > 0
            counts["left by a kill"] += place.look()
        again += others
        if ended:
            break
    again.append(place.start())  # beside the other one, which may still be at work
    for process in again:
        place.finish(process)
    return killed


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--every-change",
        action="store_true",
        help="kill before each change in the file system instead, as often as there are some",
    )
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    if given.every_change:
        with scenarios(folder, effort=0.15) as all_of_them:
            print(
                json.dumps(
                    {
                        name: killed_at_every_change(scenario, folder)
                        for name, scenario in all_of_them.items()
                        if not scenario.beside
                    }
                )
            )
        shutil.rmtree(folder)
        return
    counts = run(given.kills, given.seed, folder, lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps(counts, indent=1))
    if any(each["failed"] for each in counts.values()):
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
