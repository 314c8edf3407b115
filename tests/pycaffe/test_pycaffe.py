"""The Caffe that pycaffe/ builds: what differs from upstream on purpose, and upstream's own Python tests."""

import os
import platform
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import caffe
import numpy as np
import pytest
from helpers import ROOT, skip_or_fail
from PIL import Image

PYCAFFE = ROOT / "pycaffe"

ours = pytest.mark.skipif(not hasattr(caffe, "Error"), reason="another pycaffe than the one built by pycaffe/")


def python(code, **environment):
    """Run code in a fresh process; its stderr and stdout must be asked for."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )


@pytest.fixture
def tarball():
    """Upstream's source; skips the test on a machine that only runs what another one built, or cannot fetch it."""
    done = subprocess.run([sys.executable, str(PYCAFFE / "source.py")], capture_output=True, text=True)
    if done.returncode and not shutil.which("c++"):
        pytest.skip("Caffe's source is not here, nor a compiler for it")
    if "Debian's archive of old packages: " in done.stderr:  # the last of the places that it was looked for in
        skip_or_fail(" ".join(done.stderr.split()))
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@ours
def test_upstreams_python_tests_pass(tmp_path, tarball):
    """They expect upstream's tree around them, so they run out of the source that Caffe was built from."""
    with tarfile.open(tarball) as archive:
        wanted = ("./models/", "./examples/", "./python/caffe/test/", "models/", "examples/", "python/caffe/test/")
        members = [member for member in archive.getmembers() if member.name.startswith(wanted)]
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # older Pythons do not know it
        archive.extractall(tmp_path, members=members, **safely)
    tests = tmp_path / "python" / "caffe" / "test"
    modules = sorted(path.stem for path in tests.glob("test_*.py"))
    if not shutil.which("dot"):
        modules.remove("test_draw")  # one test, which draws with Graphviz
    code = (
        "import sys, unittest, caffe, numpy\n"
        "from unittest import TestCase\n"
        "caffe.set_random_seed(1)\n"  # one of them compares random sums that may cancel, with a fixed tolerance
        "numpy.random.seed(1)\n"
        "TestCase.assertEquals = TestCase.assertEqual\n"  # older names, gone since Python 3.12
        "TestCase.assertRaisesRegexp = TestCase.assertRaisesRegex\n"
        "unittest.main(module=None, argv=sys.argv)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *modules], cwd=tests, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ran = int(done.stderr.split("Ran ")[1].split()[0])
    assert ran >= 51


@ours
def test_a_failed_check_raises_and_the_process_lives(tmp_path):
    assert issubclass(caffe.Error, RuntimeError)
    bad = tmp_path / "bad.prototxt"
    bad.write_text("layer { name: 'x' typ", encoding="utf-8")
    with pytest.raises(caffe.Error, match="no field named") as failure:
        caffe.Net(str(bad), caffe.TEST)
    assert str(failure.value).startswith("src/caffe/util/upgrade_proto.cpp:")
    bad.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(caffe.Error, match="Failed to parse"):
        caffe.Net(str(bad), caffe.TEST)
    bad.write_text('layer { name: "x" type: "Nonsense" top: "x" }', encoding="utf-8")
    with pytest.raises(caffe.Error, match="Unknown layer type"):
        caffe.Net(str(bad), caffe.TEST)


@ours
def test_a_gpu_that_is_not_there_raises():
    with pytest.raises(caffe.Error, match=r"CPU-only|cuda\w+\("):
        caffe.set_mode_gpu()
        caffe.set_device(99)
    caffe.set_mode_cpu()


@ours
def test_an_impossible_size_raises(tiny):
    before = tiny.input.data.copy()
    with pytest.raises(caffe.Error, match=r"INT_MAX|2147483647"):
        tiny.input.reshape(1, 3, 100000, 100000)
    tiny.input.reshape(*before.shape)
    tiny.forward()


def test_caffe_says_what_it_builds_only_when_asked(tiny_prototxt):
    code = f"import caffe; caffe.Net({str(tiny_prototxt)!r}, caffe.TEST)"
    assert "Creating Layer conv1" in python(code, GLOG_minloglevel="0").stderr
    if hasattr(caffe, "Error"):
        environment = {name: value for name, value in os.environ.items() if name != "GLOG_minloglevel"}
        quiet = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        assert quiet.returncode == 0 and quiet.stderr == ""


@ours
def test_load_image_reads_colour_grey_and_alpha(tmp_path):
    rgb = np.random.RandomState(0).randint(0, 256, (5, 7, 3)).astype(np.uint8)
    kinds = {"RGB": rgb, "L": rgb[:, :, 0], "RGBA": np.dstack([rgb, rgb[:, :, :1]]), "LA": rgb[:, :, :2]}
    for kind, pixels in kinds.items():
        path = tmp_path / f"{kind}.png"
        Image.fromarray(pixels).save(path)
        colour = caffe.io.load_image(str(path))
        assert colour.shape == (5, 7, 3) and colour.dtype == np.float32
        expected = rgb if "RGB" in kind else np.repeat(rgb[:, :, :1], 3, axis=2)
        assert np.abs(colour - expected / 255.0).max() < 1e-6
    assert caffe.io.load_image(str(tmp_path / "RGB.png"), color=False).shape == (5, 7, 1)
    assert caffe.io.load_image(str(tmp_path / "L.png"), color=False).shape == (5, 7, 1)


@ours
def test_datum_round_trip_with_todays_numpy():
    array = np.random.RandomState(0).randint(0, 256, (3, 4, 5)).astype(np.uint8)
    assert np.array_equal(caffe.io.datum_to_array(caffe.io.array_to_datum(array, 1)), array)


@ours
def test_kernels_are_chosen_by_the_processor():
    from caffe._kernels import core_type

    flags = "fma avx2 avx512f avx512dq avx512cd avx512bw avx512vl"
    assert core_type(f"vendor_id\t: AuthenticAMD\nflags\t\t: {flags}\n") == "SkylakeX"
    assert core_type(f"vendor_id\t: GenuineIntel\nflags\t\t: {flags}\n") is None
    assert core_type("vendor_id\t: AuthenticAMD\nflags\t\t: fma avx2\n") is None
    assert core_type("processor : 0\nFeatures : asimd\n") is None


@ours
@pytest.mark.parametrize(
    "environment, spins",
    [({}, "1000"), ({"GOMP_SPINCOUNT": "77"}, "77"), ({"OMP_WAIT_POLICY": "passive"}, "0")],
)
def test_threads_wait_briefly_and_nothing_else_is_changed(environment, spins):
    names = ("OPENBLAS_CORETYPE", "GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    clean = {name: value for name, value in os.environ.items() if name not in names}
    code = "import os; before = dict(os.environ); import caffe; print(os.environ == before)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**clean, **environment, "OMP_DISPLAY_ENV": "verbose"},
    )
    assert done.stdout == "True\n", "the choice must not leak to other libraries and children"
    assert re.search(rf"GOMP_SPINCOUNT = '{spins}'", done.stderr), done.stderr


class TestSource:
    """source.py, run as the build runs it; the commands it would fetch with are stand-ins on PATH."""

    def run(self, tmp_path, apt="", **environment):
        tools = tmp_path / "bin"
        tools.mkdir(exist_ok=True)
        (tools / "apt-get").write_text(f"#!/bin/sh\n{apt}\necho nothing here; exit 100\n", encoding="utf-8")
        (tools / "apt-get").chmod(0o755)
        shutil.copy(PYCAFFE / "source.py", tmp_path)  # away from this checkout's dist/
        return subprocess.run(
            [sys.executable, str(tmp_path / "source.py")],
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "PATH": f"{tools}:/usr/bin:/bin",
                "XDG_CACHE_HOME": str(tmp_path / "cache"),
                **environment,
            },
        )

    def apt(self, tmp_path, tarball, mirror, carries="*"):
        """An apt-get whose machine has this mirror, and that fetches from the addresses that match a pattern."""
        return f"""sources="$(echo "$*" | sed 's/.*SourceList=\\([^ ]*\\).*/\\1/')"
        case "$*" in
          *indextargets*) echo http://mirror.test/security; echo {mirror}; exit 0 ;;
          *update*) cat "$sources" >> {tmp_path}/asked; case "$(cat "$sources")" in {carries}) exit 0 ;; esac ;;
          *source*) cp {tarball} . && exit 0 ;;
        esac"""

    def test_a_copy_at_hand_is_taken_if_it_is_the_right_file(self, tmp_path, tarball):
        assert self.run(tmp_path, PYCAFFE_SOURCE=str(tarball)).stdout.strip() == str(tarball)
        other = tmp_path / "other.tar.gz"
        other.write_bytes(b"something else")
        done = self.run(tmp_path, PYCAFFE_SOURCE=str(other))
        assert done.returncode == 1
        assert str(other) in done.stderr and "expected e0eb3f06" in done.stderr
        assert "is not a file" in self.run(tmp_path, PYCAFFE_SOURCE="/nonexistent").stderr

    def test_what_make_wheels_keeps_is_taken(self, tmp_path, tarball):
        (tmp_path / "build").mkdir()
        kept = tmp_path / "dist" / tarball.name
        kept.parent.mkdir()
        shutil.copy(tarball, kept)
        folder = tmp_path / "pycaffe"
        folder.mkdir()
        assert self.run(folder).stdout.strip() == str(kept)

    def test_the_mirror_is_read_from_aptss_own_configuration(self, tmp_path, tarball):
        done = self.run(tmp_path, self.apt(tmp_path, tarball, "http://mirror.test/debian/"))
        assert done.returncode == 0, done.stderr
        assert Path(done.stdout.strip()).read_bytes() == tarball.read_bytes()
        assert "http://mirror.test/debian bullseye main" in (tmp_path / "asked").read_text(encoding="utf-8")

    @pytest.mark.parametrize("named", ["http://archive.test/old/debian", None])
    def test_the_archive_of_old_releases_comes_when_the_mirror_has_dropped_the_suite(self, named, tmp_path, tarball):
        """The archive that is named, or else the one beside the mirror."""
        archive = named or "http://mirror.test/debian-archive/debian"
        apt = self.apt(tmp_path, tarball, "http://mirror.test/debian", f"*{archive}*")
        done = self.run(tmp_path, apt, **({"PYCAFFE_ARCHIVE": named} if named else {}))
        assert done.returncode == 0, done.stderr
        assert Path(done.stdout.strip()).read_bytes() == tarball.read_bytes()
        asked = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
        assert [f" {archive} bullseye" in line for line in asked] == [False, True]
        assert all("signed-by=/usr/share/keyrings/debian-archive-" in line for line in asked)

    def test_ubuntus_mirror_has_the_same_file_in_its_pool(self, tmp_path, tarball, served):
        address, content = served
        path = f"/ubuntu/pool/universe/c/caffe/{tarball.name}"
        apt = self.apt(tmp_path, tarball, f"{address}/ubuntu/", "nothing")
        content[path] = tarball.read_bytes()
        done = self.run(tmp_path, apt)
        assert done.returncode == 0, done.stderr
        kept = Path(done.stdout.strip())
        assert kept.read_bytes() == tarball.read_bytes()
        kept.unlink()
        content[path] = b"wrong"
        done = self.run(tmp_path, apt)
        assert done.returncode == 1
        assert "names no Debian mirror" in done.stderr and "has sha256" in done.stderr
        assert "set PYCAFFE_SOURCE to its path" in done.stderr and "Traceback" not in done.stderr
        assert not list(kept.parent.iterdir())


def test_mends_must_fit(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(PYCAFFE)
    mend = runpy.run_path(str(PYCAFFE / "mend.py"))["mend"]
    (tmp_path / "io.py").write_text("another upstream", encoding="utf-8")
    with pytest.raises(SystemExit, match="expected 1"):
        mend(tmp_path)


def test_the_recipe_decides_which_wheel_is_used(tmp_path):
    """Another text in the recipe is another wheel; what is not in the recipe is not."""
    copy = tmp_path / "pycaffe"
    shutil.copytree(PYCAFFE, copy, ignore=shutil.ignore_patterns("__pycache__"))

    def recipe():
        code = f"import sys; sys.path.insert(0, {str(copy)!r}); import wheel; print(wheel.recipe_hash())"
        done = python(code)
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = recipe()
    assert recipe() == first
    (copy / "README.md").write_text("other words", encoding="utf-8")
    assert recipe() == first
    with open(copy / "compat" / "glog" / "logging.h", "a", encoding="utf-8") as file:
        file.write("\n")
    assert recipe() != first


COMPILERS = [name for name in ("g++", *(f"g++-{n}" for n in range(9, 17)), "clang++") if shutil.which(name)]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="looks into the code for x86-64")
@pytest.mark.parametrize("isa", ["avx2", "avx512"])
@pytest.mark.parametrize("compiler", COMPILERS or [pytest.param("", marks=pytest.mark.skip(reason="no C++ compiler"))])
def test_no_compiler_breaks_up_the_multiply_adds(compiler, isa, tmp_path):
    """Every tile of the convolutions sums by vfmadd alone: a product rounded by itself would give other bits."""
    settings = (PYCAFFE / "CMakeLists.txt").read_text(encoding="utf-8")
    options = "".join(re.findall(rf'set\((?:kernel_options|isa_options_{isa}) "(.+?)"', settings)).split(";")
    assert "-ffp-contract=off" in options and f"-m{isa}" in " ".join(options)
    code = tmp_path / "kernels.s"
    source = PYCAFFE / "layers" / f"kernels_{isa}.cpp"
    command = [compiler, "-std=c++17", "-O3", "-fPIC", *options, "-S", str(source), "-o", str(code)]
    subprocess.run(command, check=True)
    text = code.read_text(encoding="utf-8")
    # The parts between one function's label, after which clang writes a comment, and its end.
    functions = re.findall(r"^(\S*multiply\S*):[^\n]*\n(.*?)^\s*\.size\s+\1,", text, re.S | re.M)
    code_of = {*re.findall(r"^\s*\.type\s+(\S+), ?[@%]function", text, re.M)}  # the others are constants in a function
    helpers = "multiply_add", "multiply_for"
    tiles = {name: body for name, body in functions if name in code_of and not any(each in name for each in helpers)}
    assert len(tiles) >= 12
    for name, body in tiles.items():
        assert "vfmadd" in body, name
        assert not re.search(r"\bvmulps\b", body), name


@pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler")
def test_what_stands_between_caffe_and_cuda(tmp_path):
    """compat/cuda is compiled against a CUDA of the tests' own: errors, handles, the choice of algorithms."""
    fakes = Path(__file__).resolve().parent / "fake_cuda"
    program = tmp_path / "check"
    subprocess.run(
        [
            "g++",
            "-std=c++17",
            "-Wall",
            "-Wextra",
            "-Werror",
            f"-I{PYCAFFE / 'compat' / 'cuda'}",
            f"-I{PYCAFFE / 'compat'}",
            f"-I{fakes}",
            str(fakes / "check.cpp"),
            "-o",
            str(program),
            "-pthread",
        ],
        check=True,
    )
    done = subprocess.run([str(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
