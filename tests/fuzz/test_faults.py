"""The machine fails: disks that are full, folders that go, limits, closed outputs, odd homes, tongues and names.

Whatever fails, the command says so in one line and ends with code 2; nothing is half-written, older files are whole,
and when the fault is gone the same command makes what it would have made.
"""

import contextlib
import hashlib
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_refused, command_environment, serving, write_tiny_model

import deepdream as dd
from deepdream.data import clouds, download

PAGE = 4096  # bytes: tmpfs counts in pages

# Imports the library once, then forks for each command that comes, as lines of JSON. What hangs is ended by an alarm.
_FORKS = """
import json, os, resource, signal, sys, tempfile
from deepdream.cli import commands, main
for line in sys.stdin:
    folder, environment, prepare, arguments = json.loads(line)
    files = [tempfile.TemporaryFile() for _ in range(2)]
    child = os.fork()
    if not child:
        signal.alarm(120)
        for number, file in enumerate(files, 1):
            os.dup2(file.fileno(), number)
        os.chdir(folder)
        for key, value in environment.items():
            os.environ.pop(key, None) if value is None else os.environ.__setitem__(key, value)
        exec(prepare)
        main([os.fsdecode(bytes.fromhex(each)) for each in arguments])
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for file in files:
        file.seek(0)
    print(json.dumps([code, *(file.read().decode("utf-8", "replace") for file in files)]), flush=True)
"""


@pytest.fixture(scope="module")
def machine():
    """A process that runs commands in processes of their own: see `run_faulty`."""
    with subprocess.Popen(
        [sys.executable, "-c", _FORKS],
        env=command_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.stdin.close()


@pytest.fixture(scope="module")
def run(machine):
    """A function that runs the `deepdream` command: of a folder, the arguments, code that prepares the fault in the
    process, and variables of the environment (`None` removes one)."""

    def run_faulty(folder, arguments, prepare="", **environment):
        sent = [os.fsencode(str(each)).hex() for each in arguments]
        machine.stdin.write(json.dumps([str(folder), environment, prepare, sent]) + "\n")
        machine.stdin.flush()
        return subprocess.CompletedProcess(arguments, *json.loads(machine.stdout.readline()))

    return run_faulty


def assert_one_line(done):
    """Refused with one line; what was made until then is on standard output, and a line before may tell of it."""
    *before, last = done.stderr.splitlines(keepends=True)
    if done.args[0] == "gallery" and " could not be made: " in done.stderr:  # the others are, and all are counted
        assert done.returncode == 2
        assert all(" could not be made: " in line for line in before)
        assert "; the page is " in last or last.startswith("deepdream: ")
        return
    assert_refused(subprocess.CompletedProcess(done.args, done.returncode, "", last))
    assert [line for line in before if " dreamt at " not in line] == []


@pytest.fixture(scope="module")
def place(tmp_path_factory, run):
    """A folder with what commands read: a network, a picture, a dream, a video, a gallery."""
    place = tmp_path_factory.mktemp("place")
    toml = write_tiny_model(place / "model") / "model.toml"
    toml.write_text('labels = "labels.txt"\n' + toml.read_text(encoding="utf-8"), encoding="utf-8")
    (toml.parent / "labels.txt").write_text("a\nb\nc\nd\ne\n", encoding="utf-8")
    img = clouds.clouds(45, 60)
    dd.write_image(place / "in.png", img)
    with contextlib.suppress(dd.DreamError):  # without PyAV those tests are skipped
        dd.write_animation(place / "in.mp4", [np.roll(img, 2 * shift, 1) for shift in range(4)], 8)
    recipe = f'model = "{place}/model"\ninput = "{place}/in.png"\niter_n = 1\noctave_n = 1\n'
    (place / "pictures.toml").write_text(
        "".join(f'[[picture]]\nname = "n{seed}"\nseed = {seed}\n{recipe}' for seed in range(3)), encoding="utf-8"
    )
    done = run(place, dream(place, "dreamt.png"))
    assert done.returncode == 0, done.stderr
    return place


def settings(place):
    return ["--model", place / "model", "--iters", 1, "--octaves", 1, "--seed", 1]


def dream(place, output, *more):
    return ["dream", place / "in.png", "-o", output, *settings(place), *more]


def commands_of(place):
    """{name: arguments} of every command that writes; they write into the current folder."""
    zoom = ["zoom", place / "in.png", "-o", "frames", "--frames", 3, *settings(place)]
    return {
        "png": dream(place, "out.png"),
        "jpg": dream(place, "out.jpg"),
        "tif": dream(place, "out.tif"),
        "webp": dream(place, "out.webp"),
        "animation": dream(place, "out.png", "--animate", "steps.mp4"),
        "moving gif": dream(place, "out.png", "--animate", "steps.gif"),
        "zoom": zoom,
        "zoom into a film": [*zoom, "--mp4", "zoom.mp4", "--gif", "zoom.gif"],
        "video": ["video", place / "in.mp4", "out.mp4", *settings(place)],
        "gif of a video": ["video", place / "in.mp4", "out.gif", "--independent", *settings(place)],
        "gallery": ["gallery", place / "pictures.toml", "-o", "pictures"],
        "label": [
            "label",
            3,
            "-o",
            "label.png",
            "--size",
            32,
            "--octaves",
            1,
            "--iters",
            1,
            "--seed",
            1,
            "--model",
            place / "model",
        ],
        "replay": ["replay", place / "dreamt.png", "-o", "again.png"],
    }


COMMANDS = list(commands_of(Path()))


def slow(*values):
    """This parameter of a test, only where there is time for it."""
    return pytest.param(*values, marks=pytest.mark.slow)


def some(*names):
    """These commands, and, where there is time, all."""
    return pytest.mark.parametrize("name", [name if name in names else slow(name) for name in COMMANDS])


FILMS = {"animation", "moving gif", "zoom into a film", "video", "gif of a video"}


def command(place, name):
    if name in FILMS:
        pytest.importorskip("av")
    if name == "video":
        pytest.importorskip("cv2")
    return commands_of(place)[name]


def snapshot(folder):
    """{path: content} of everything in a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def assert_whole(folder, before=()):
    """Every file in a folder is one that was there before, or can be read from beginning to end."""
    for name, content in snapshot(folder).items():
        if name in before and before[name] == content:
            continue
        assert not Path(name).name.startswith("."), f"{name} is left behind"
        path = folder / name
        if path.suffix in (".png", ".jpg", ".tif", ".webp"):
            dd.read_image(path)
        elif path.suffix == ".npz":
            assert zipfile.ZipFile(path).testzip() is None
        elif path.suffix == ".json":
            json.loads(content)
        elif path.suffix == ".html":
            assert content.rstrip().endswith(b"</html>")
        else:
            dd.Video(path)


def assert_made(folder, expected):
    """A folder holds what a run without any fault made."""
    made = snapshot(folder)
    made.pop("filler", None)
    assert made.keys() == expected.keys()
    for name, content in expected.items():
        if name.endswith((".npz",)):
            continue  # a ZIP file holds the time
        assert made[name] == content, name


@pytest.fixture(scope="module")
def expected(place, tmp_path_factory, run):
    """A function of a command's name that gives what it writes, {path: content}."""
    known = {}

    def of(name):
        if name not in known:
            folder = tmp_path_factory.mktemp("expected")
            done = run(folder, command(place, name))
            assert done.returncode == 0, done.stderr
            known[name] = snapshot(folder)
        return known[name]

    return of


# Full disks


@pytest.fixture
def disk(tmp_path):
    """A small disk, 2 MB, of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m,mode=755", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"this user can mount no disk here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def leave(disk, pages):
    """Fill the disk up to so many pages."""
    (disk / "filler").unlink(missing_ok=True)
    facts = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(max(0, facts.f_bavail * facts.f_bsize - pages * PAGE)))


@pytest.mark.parametrize("pages", ["half", *map(slow, (0, 1, 2, 3, 9, 20, "all but one"))])
@some("png", "animation", "zoom", "zoom into a film", "video", "gallery", "label", "replay")
def test_a_full_disk(place, disk, expected, run, name, pages):
    """Full from the beginning, or after so much of what is to be written that it fails at another moment."""
    arguments, wanted = command(place, name), expected(name)
    size = sum(-(-len(content) // PAGE) for content in wanted.values())
    must_fail = pages in ("half", 0)
    if pages == "all but one":
        pages = size - 1
    elif name in ("video", "gif of a video") and pages == "half":  # its frames take room too, and are gone in the end
        pages = 16 if name == "video" else 4
    elif pages == "half":
        pages = size - 1 if size < 3 else size // 2
    for each in wanted:
        if "/" not in each:
            (disk / each).write_bytes(b"older")
    before = snapshot(disk)
    leave(disk, pages)
    done = run(disk, arguments)
    (disk / "filler").unlink()
    print(pages, done)
    if done.returncode:
        assert_one_line(done)
    assert done.returncode or not must_fail
    assert_whole(disk, before)
    done = run(disk, arguments)
    assert done.returncode == 0, done.stderr
    assert_made(disk, wanted)


@pytest.mark.parametrize("pages", [1, *map(slow, (0, 2, 3))])
def test_a_full_temporary_folder(place, disk, tmp_path, run, pages):
    """What is there for a moment only lies in TMPDIR; full, another one is taken, or the command says what is wrong."""
    pytest.importorskip("av")
    leave(disk, pages)
    work = tmp_path / "work"
    work.mkdir()
    for arguments in (commands_of(place)["png"], commands_of(place)["animation"]):
        done = run(work, arguments, "tempfile.tempdir = None", TMPDIR=str(disk))
        print(done)
        if done.returncode:
            assert_one_line(done)
            assert str(disk) in done.stderr
        assert_whole(work)
        assert set(snapshot(disk)) == {"filler"}
    (disk / "filler").unlink()
    assert run(work, arguments, "tempfile.tempdir = None", TMPDIR=str(disk)).returncode == 0
    assert snapshot(disk) == {}


@pytest.mark.parametrize("folder", ["missing", "in.png"])
def test_a_temporary_folder_that_is_none(place, tmp_path, run, folder):
    done = run(tmp_path, dream(place, "out.png"), "tempfile.tempdir = None", TMPDIR=str(place / folder))
    assert done.returncode == 0, done


@pytest.mark.parametrize("packed", [False, True], ids=["file", "archive"])
def test_weights_that_do_not_fit_into_the_cache(disk, tmp_path, monkeypatch, packed):
    content = np.random.RandomState(1).bytes(300_000)
    sent = io.BytesIO(content)
    if packed:
        sent = io.BytesIO()
        with tarfile.open(fileobj=sent, mode="w:gz") as tar:
            info = tarfile.TarInfo("a.caffemodel")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the other side has seen enough
                self.wfile.write(sent.getvalue())

        def log_message(self, *arguments):
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    target = disk / "a.caffemodel"
    with serving(Site) as site:
        url = site.address + ("/a.tar.gz" if packed else "/a")
        for pages in (0, 10, 70):
            target.write_bytes(b"older")
            leave(disk, pages)
            with pytest.raises(OSError, match="No space left") as caught:
                download.download_file(url, digest, len(content), target)
            assert download.describe_error(caught.value) == "the disk is full"
            assert target.read_bytes() == b"older"
            assert {path.name for path in disk.iterdir()} == {"filler", "a.caffemodel"}
        (disk / "filler").unlink()
        download.download_file(url, digest, len(content), target)
    assert target.read_bytes() == content
    assert list(disk.iterdir()) == [target]


# Folders that cannot be written, or go


@some("webp", "moving gif", "zoom", "video", "gallery")
def test_a_disk_that_is_read_only(place, disk, expected, run, name):
    arguments, wanted = command(place, name), expected(name)
    for each in wanted:
        (disk / each).parent.mkdir(exist_ok=True)
        (disk / each).write_bytes(b"older")
    if name.startswith("zoom"):
        shutil.rmtree(disk / "frames")
    before = snapshot(disk)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    done = run(disk, arguments)
    assert_refused(done, "cannot be written (Read-only file system)")
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert snapshot(disk) == before


GOES = """
import shutil
from deepdream.network.net import Net
computes = Net.input_gradient
def input_gradient(*arguments):
    shutil.rmtree("here", ignore_errors=True)
    return computes(*arguments)
Net.input_gradient = input_gradient
"""


@some("tif", "animation", "zoom", "gif of a video", "gallery", "label", "replay")
def test_a_folder_that_goes_while_it_dreams(place, tmp_path, run, name):
    arguments = [
        f"here/{each}"
        if str(each) in ("frames", "pictures")
        or (isinstance(each, str) and each.startswith(("out", "steps", "zoom.", "label.", "again")))
        else each
        for each in command(place, name)
    ]
    (tmp_path / "here").mkdir()
    done = run(tmp_path, arguments, GOES)
    assert_one_line(done)
    assert "here" in done.stderr
    assert list(tmp_path.iterdir()) == []


# Limits of a process


@pytest.mark.parametrize("limit", ["all but a byte", slow(1000)])
@some("jpg", "moving gif", "zoom", "video", "gallery")
def test_a_limit_of_the_size_of_files(place, tmp_path, run, expected, name, limit):
    """The signal that comes with it ends nothing."""
    arguments, wanted = command(place, name), expected(name)
    if limit == 1000 and name == "gallery":
        pytest.skip("what it says of each image needs more bytes")
    largest = max(map(len, wanted.values()))
    if name == "gallery":  # otherwise its page alone is made with every image
        largest = max(len(content) for each, content in wanted.items() if each.endswith(".png"))
    limit = largest - 1 if limit == "all but a byte" else limit
    done = run(tmp_path, arguments, f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))")
    print(limit, done)
    assert_one_line(done)
    assert_whole(tmp_path)
    assert run(tmp_path, arguments).returncode == 0
    assert_made(tmp_path, wanted)


@pytest.mark.parametrize("numbers", [(0, 1, 2, 30), slow(range(24))], ids=["some", "each"])
@some("png", "video", "gallery")
def test_few_open_files(place, tmp_path, run, name, numbers):
    arguments = command(place, name)
    codes = []
    for more in numbers:
        done = run(
            tmp_path,
            arguments,
            "few = len(os.listdir('/proc/self/fd')) - 1\n"
            f"resource.setrlimit(resource.RLIMIT_NOFILE, (few + {more}, few + {more}))",
        )
        print(more, done)
        codes.append(done.returncode)
        if done.returncode:
            assert_one_line(done)
            assert "Too many open files" in done.stderr or "too many open files" in done.stderr
        assert_whole(tmp_path)
    assert {0, 2} == set(codes)


# Homes


@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": None},
        {"HOME": "/proc"},
        {"XDG_CACHE_HOME": "/dev/null"},
        *map(
            slow,
            (
                {"HOME": ""},
                {"HOME": "/dev/null/x"},
                {"HOME": "relative"},
                {"XDG_CACHE_HOME": "/proc/nothing"},
                {"XDG_CACHE_HOME": ""},
                {"XDG_CACHE_HOME": "relative"},
            ),
        ),
    ],
    ids=str,
)
def test_odd_homes(place, tmp_path, run, environment):
    """What needs no cache does not miss it; what does is refused with the variable that helps."""
    environment = {"DEEPDREAM_DATA": None, "XDG_CACHE_HOME": None, **environment}
    done = run(tmp_path, dream(place, "out.png"), **environment)
    assert (done.returncode, done.stderr.count("\n")) == (0, 1), done
    assert run(tmp_path, ["models"], **environment).returncode == 0
    done = run(tmp_path, ["dream", "sky", "-o", "out.png", "--max-size", 32, *settings(place)], **environment)
    assert done.returncode == 0, done
    if "/" in str(environment["HOME"] if "HOME" in environment else environment["XDG_CACHE_HOME"]):  # else: ~/.cache
        done = run(tmp_path, ["dream", "cat", "-o", "no.png", "--model", "squeezenet_v1.1"], **environment)
        assert_refused(done, "XDG_CACHE_HOME")
    assert not (tmp_path / "no.png").exists()


def test_a_user_without_a_name_or_a_home(place, tmp_path, run):
    if os.geteuid():
        pytest.skip("only root can become another user")
    if not all(path.stat().st_mode & 0o001 for path in Path(os.path.realpath(sys.executable)).parents):
        pytest.skip("another user cannot run this Python")
    for folder in (place, place / "model", place.parent, place.parent.parent):
        folder.chmod(0o755)
    tmp_path.chmod(0o777)
    for folder in list(tmp_path.parents)[:2]:
        folder.chmod(0o755)
    done = run(
        tmp_path,
        dream(place, "out.png"),
        "os.setgroups([])\nos.setgid(54321)\nos.setuid(54321)",
        HOME=None,
        XDG_CACHE_HOME=None,
    )
    assert (done.returncode, done.stderr.count("\n")) == (0, 1), done
    done = run(
        tmp_path,
        ["dream", "cat", "--model", "squeezenet_v1.1"],
        "os.setgroups([])\nos.setgid(54321)\nos.setuid(54321)",
        HOME=None,
        XDG_CACHE_HOME=None,
        DEEPDREAM_DATA=None,
    )
    assert_refused(done, "XDG_CACHE_HOME")


# Outputs

FULL = "os.dup2(os.open('/dev/full', os.O_WRONLY), {})"
BROKEN = "ends = os.pipe()\nos.close(ends[0])\nos.dup2(ends[1], {})\nos.close(ends[1])"
CLOSED = "os.close({})"


@pytest.mark.parametrize("fault", [FULL, BROKEN, CLOSED], ids=["full", "broken pipe", "closed"])
@some("png", "gallery")
def test_standard_error_that_cannot_be_written(place, tmp_path, run, expected, name, fault):
    """Nobody reads what is said on the way; the pictures are made all the same."""
    done = run(tmp_path, command(place, name), fault.format(2))
    assert done.returncode == 0, done
    assert_made(tmp_path, expected(name))
    done = run(tmp_path, ["dream", "nowhere.png"], fault.format(2))
    assert (done.returncode, done.stdout) == (2, "")


@some("zoom", "gallery")
def test_standard_output_that_cannot_be_written(place, tmp_path, run, expected, name):
    for fault, code in ((FULL, 2), (BROKEN, 1)):
        done = run(tmp_path, command(place, name), fault.format(1))
        assert done.returncode == code, done
        assert "Traceback" not in done.stderr
        assert done.stderr.count("deepdream: ") == (code == 2)
        assert_whole(tmp_path)
    assert run(tmp_path, command(place, name)).returncode == 0
    assert_made(tmp_path, expected(name))


def test_an_output_that_is_full_when_no_more_files_can_be_opened(tmp_path, run):
    """Even then what is buffered is given up, and the exit code is not that of a second failure."""
    done = run(
        tmp_path,
        ["models"],
        FULL.format(1)
        + """
import deepdream.cli.commands
def app(*arguments, **more):
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    print("said")
deepdream.cli.commands.app = app
""",
    )
    assert_refused(done, "No space left on device")


def test_both_closed_from_the_beginning(place, tmp_path):
    words = [sys.executable, "-m", "deepdream", *map(str, dream(place, "out.png"))]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words],
        cwd=tmp_path,
        check=False,
        timeout=300,
        env=command_environment(),
    )
    assert done.returncode == 0
    dd.read_image(tmp_path / "out.png")


# Tongues and names


@pytest.mark.parametrize("name", ["é.png".encode(), slow("夢.png".encode()), slow(b"\xff\xfe.png")], ids=repr)
@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        slow({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}),
    ],
    ids=str,
)
def test_names_that_the_locale_cannot_say(place, tmp_path, environment, name):
    """They go in and out as the bytes that they are."""
    folder = os.fsencode(tmp_path)
    shutil.copy(place / "in.png", folder + b"/" + name)
    output = folder + b"/out-" + name
    words = [
        each if isinstance(each, bytes) else os.fsencode(str(each))
        for each in ["dream", folder + b"/" + name, "-o", output, *settings(place)]
    ]
    done = subprocess.run(
        [sys.executable, "-m", "deepdream", *words],
        cwd=tmp_path,
        capture_output=True,
        env={**command_environment(), **environment},
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr.count(b"\n")) == (0, 1), done
    assert done.stdout == output + b"\n"
    assert os.path.exists(output)
    done = subprocess.run(
        [sys.executable, "-m", "deepdream", "dream", folder + b"/missing" + name],
        capture_output=True,
        env={**command_environment(), **environment},
        cwd=tmp_path,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done
    assert done.stderr.startswith(b"deepdream: ")


def test_names_that_rich_would_take_for_something_else(tmp_path, run):
    for name in ("a:cat:.png", "[bold]a[/bold].png", "[link=x].png", "a\\[b].png"):
        assert_refused(run(tmp_path, ["dream", name]), name)


# The playground, which writes nothing but its queue


@pytest.mark.parametrize("fault", ["a file", "read-only"])
def test_a_queue_that_cannot_be_written(tmp_path, monkeypatch, disk, fault):
    """The page is told, with the way out, and may ask again."""
    from deepdream.playground import form
    from deepdream.playground.session import Session

    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null" if fault == "a file" else str(disk))
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    told, ended = [], threading.Event()

    def emit(message, buffers):
        told.append(message)
        if message["event"] in ("ended", "picture"):
            ended.set()

    session = Session(emit)
    for message in (
        {"do": "choose", "name": "noise:64x48", "for": "picture"},
        {"do": "dream", "form": form.default_form(session.limits)},
    ):
        ended.clear()
        session.handle(message)
        assert ended.wait(60), told
    assert told[-1]["how"] == "failed"
    assert "cannot be written" in told[-1]["text"]
    assert "XDG_CACHE_HOME" in told[-1]["text"]
    assert not session._dreaming.locked()
    session.close()
