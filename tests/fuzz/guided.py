"""Coverage-guided damage: Atheris looks for bytes that reach code of deepdream which none reached before.

    pip install -r tests/fuzz/requirements.txt
    .venv/bin/python tests/fuzz coverage --seconds 120                       # recipe, model, definition; counted
    .venv/bin/python tests/fuzz/guided.py definition -max_total_time=300     # one target, until it fails

What is damaged: `definition` (a prototxt, built and dreamt on), `recipe` (read, and made again if it asks for little),
`model` (a `model.toml`, and its network), `weights`, `gallery`. Half of the changes are of bytes, as libFuzzer makes
them; the other half put one wrong value into what stays valid JSON, TOML or a definition, because bytes alone seldom
get past the parsers. A target ends at the first input that raises anything but a `DreamError` with one line of at most
300 characters, or ends the process; that input is kept in a file. The corpus begins with the suite's whole files;
options beginning with a hyphen are libFuzzer's.
"""

import argparse
import contextlib
import json
import random
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]  # as pytest has them

MAX_INPUT_BYTES = 200_000
COUNTED = ("recipe", "model", "definition")
MEMORY = 3 * 2**30  # bytes


class Target:
    """What is damaged, and what is done with it.

    Args:
        name: "definition" and so on.
        folder: where the files are.
    """

    def __init__(self, name, folder):
        import deepdream as dd
        from fuzz import seeds

        self.name, self.folder, self._dd = name, folder, dd
        self._image = dd.picture("cat")[:40, :48]
        self.corpus = {
            "definition": lambda: [seeds.TINY, seeds.ZOO, seeds.definitions()["squeezenet_v1.1"]],
            "recipe": lambda: [json.dumps({**seeds.recipe(), **more}) for more in seeds.RECIPES],
            "model": lambda: [seeds.MODEL_TOML, seeds.as_toml(seeds.model_table())],
            "gallery": lambda: [seeds.as_toml(seeds.gallery())],
            "weights": lambda: [seeds.tiny_weights(folder)],
            "mishap": lambda: ["0"],
        }[name]()
        self._files = seeds.tiny_model(seeds.tiny_weights(folder))
        (folder / "model").mkdir()
        for path, content in self._files.items():
            (folder / path).write_bytes(content)
        if name == "recipe":
            self._net = dd.load(folder / "model")

    def __call__(self, data):
        """Do it; what is refused as it should be is no failure."""
        try:
            getattr(self, f"_{self.name}")(data)
        except (self._dd.DreamError, MemoryError) as error:
            assert "\n" not in str(error) and len(str(error)) <= 300, error

    def _definition(self, data):
        path = self._written("model/deploy.prototxt", data)
        end = next((end for end in ("both", "concat", "fire2/concat") if f'"{end}"'.encode() in data), "both")
        net = self._dd.Net(path, None, (104, 117, 123), end)
        self._dd.deepdream(net, self._image, iter_n=1, octave_n=1, jitter=2, seed=1)

    def _recipe(self, data):
        recipe = self._dd.Recipe.from_json(data.decode(errors="replace"))
        if recipe.iter_n <= 3 and recipe.octave_n <= 3 and str(recipe.more.get("frame", 0)) in "012":
            small = replace(recipe, max_size=min(recipe.max_size or 40, 40))
            small.make(self._image, self._image if recipe.guide else None, net=self._net)

    def _model(self, data):
        model = self._dd.find_model(self._written("model/model.toml", data).parent)
        file = model.folder / model.weights["file"]
        if file.is_file():
            self._dd.Net(model.prototxt, file, model.mean, model.end, labels=model.labels)

    def _gallery(self, data):
        from deepdream.recipes.gallery_file import read_gallery

        read_gallery(self._written("gallery.toml", data))

    def _weights(self, data):
        from deepdream.network.caffemodel import weight_shapes

        weight_shapes(self._written("model/tiny.caffemodel", data))

    def _mishap(self, data):
        """What the tests make sure is noticed."""
        len(data) / 0

    def _written(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def change(self, rng, data):
        """The data with one thing wrong in what stays valid; `None` if it is not valid now."""
        from caffe.proto import caffe_pb2
        from google.protobuf import text_format

        from fuzz import one_wrong, seeds

        try:
            text = data.decode()
            if self.name == "definition":
                net = text_format.Parse(text, caffe_pb2.NetParameter())
                one_wrong.in_definition(rng, net)
                return text_format.MessageToString(net).encode()
            if self.name == "recipe":
                return one_wrong.in_time(json.dumps(one_wrong.in_values(rng, json.loads(text))[1])).encode()
            if self.name in ("model", "gallery"):
                table = one_wrong.in_values(rng, tomllib.loads(text), toml=True)[1]
                return seeds.as_toml(table).encode(errors="replace")
        except (ValueError, TypeError, LookupError, RecursionError, text_format.ParseError):
            return None
        return None


def fuzz(target, folder, corpus, options):
    """Let Atheris look for inputs; it ends the process."""
    import resource

    import atheris

    with atheris.instrument_imports(include=["deepdream"]):
        import deepdream
        import deepdream.recipes.gallery_file  # noqa: F401
    target = Target(target, folder)
    for number, content in enumerate(target.corpus):
        (corpus / f"whole-{number}").write_bytes(content if isinstance(content, bytes) else content.encode())
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))

    def mutate(data, max_size, seed):
        rng = random.Random(seed)
        changed = target.change(rng, data) if rng.random() < 0.5 else None
        return atheris.Mutate(data, max_size) if changed is None or len(changed) > max_size else changed

    words = [sys.argv[0], str(corpus), f"-max_len={MAX_INPUT_BYTES}", *options]
    atheris.Setup(words, target, custom_mutator=mutate)
    atheris.Fuzz()


def lines_reached(target, folder, corpus):
    """How many lines of deepdream the whole files reach, and how many all inputs of a corpus: (number, number)."""
    found, package = set(), str(TESTS.parent / "deepdream") + "/"

    def trace(frame, event, _):
        if not frame.f_code.co_filename.startswith(package):
            return None
        if event == "line":
            found.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    target, counts = Target(target, folder), []
    for inputs in (sorted(corpus.glob("whole-*")), sorted(corpus.iterdir())):
        for path in inputs:
            sys.settrace(trace)
            with contextlib.suppress(Exception):
                target(path.read_bytes())
            sys.settrace(None)
        counts.append(len(found))
    return counts


def run(seconds, seed, folder, say=lambda text: None):
    """Run each of `COUNTED` for its share of the seconds, each in a process of its own.

    Returns:
        {target: {"inputs", "branches", "kept", "lines before", "lines", "failed"}}: how many inputs were tried, how
        many branches of deepdream they reached, how many inputs were kept for that, the lines of deepdream that whole
        files reach, those that the kept inputs reach, and the end of what a failing target said, or "".
    """
    counts = {}
    for name in COUNTED:
        corpus = Path(folder) / name
        corpus.mkdir()
        limits = [f"-max_total_time={max(1, seconds // len(COUNTED))}", f"-seed={seed}", "-timeout=60"]
        command = [sys.executable, str(HERE / "guided.py"), name, f"--corpus={corpus}"]
        done = subprocess.run([*command, *limits], cwd=folder, capture_output=True, text=True, errors="replace")
        ends = re.findall(r"^#(\d+)\s+\S+\s+cov: (\d+) .*?corp: (\d+)", done.stderr, re.MULTILINE)
        tried, branches, kept = map(int, ends[-1]) if ends else (0, 0, 0)
        lines = subprocess.run([*command, "--lines"], cwd=folder, capture_output=True, text=True, check=True).stdout
        before, after = map(int, lines.split())
        counts[name] = {
            "inputs": tried,
            "branches": branches,
            "kept": kept,
            "lines before": before,
            "lines": after,
            "failed": (done.stdout.strip() or done.stderr)[-3000:] if done.returncode else "",
        }
        say(f"coverage, {name}: {counts[name]}")
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=["definition", "weights", "recipe", "gallery", "model", "mishap"])
    parser.add_argument("--corpus", type=Path, help="folder of the inputs that are kept")
    parser.add_argument("--lines", action="store_true", help="only count the lines that the corpus reaches")
    given, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        (Path(folder) / "files").mkdir()
        corpus = given.corpus or Path(folder) / "corpus"
        corpus.mkdir(exist_ok=True)
        if given.lines:
            print(*lines_reached(given.target, Path(folder) / "files", corpus))
        else:
            fuzz(given.target, Path(folder) / "files", corpus, options)


if __name__ == "__main__":
    main()
