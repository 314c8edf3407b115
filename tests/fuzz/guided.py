"""Coverage-guided damage: Atheris looks for bytes that reach code of deepdream which none reached before.

    pip install atheris
    .venv/bin/python tests/fuzz/guided.py definition -max_total_time=300

What is damaged: `definition` (a prototxt, built and dreamt on), `weights`, `recipe`, `gallery`, `model`. It ends at the
first input that raises anything but a `DreamError`, or ends the process, and keeps that input in a file. The corpus
begins with the suite's whole files; options beginning with a hyphen are libFuzzer's.
"""

import json
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]  # as pytest has them

import atheris  # noqa: E402

with atheris.instrument_imports(include=["deepdream"]):
    import deepdream as dd
    from deepdream.network import caffemodel
    from deepdream.recipes.gallery_file import read_gallery

from fuzz import seeds  # noqa: E402

IMAGE = dd.picture("cat")[:40, :48]
MAX_INPUT_BYTES = 200_000


def definition(path):
    end = "both" if b'"both"' in path.read_bytes() else "concat"
    net = dd.Net(path, None, (104, 117, 123), end)
    dd.deepdream(net, IMAGE, iter_n=1, octave_n=1, jitter=2, seed=1)


def recipe(path):
    dd.Recipe.from_json(path.read_bytes().decode(errors="replace"))


def model(path):
    dd.find_model(path.parent)


TARGETS = {
    "definition": (definition, "net.prototxt", lambda _: [seeds.TINY.encode(), seeds.ZOO.encode()]),
    "weights": (caffemodel.weight_shapes, "a.caffemodel", lambda folder: [seeds.tiny_weights(folder)]),
    "recipe": (recipe, "recipe.json", lambda _: [json.dumps(seeds.recipe()).encode()]),
    "gallery": (read_gallery, "gallery.toml", lambda _: [seeds.as_toml(seeds.gallery()).encode()]),
    "model": (model, "model.toml", lambda _: [seeds.MODEL_TOML.encode()]),
}


def main():
    target, name, corpus = TARGETS[sys.argv[1]]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        folder = Path(folder)
        (folder / "corpus").mkdir()
        (folder / "labels.txt").write_text(seeds.LABELS, encoding="utf-8")
        for number, content in enumerate(corpus(folder)):
            (folder / "corpus" / str(number)).write_bytes(content)

        def once(data):
            (folder / name).write_bytes(data)
            try:
                target(folder / name)
            except dd.DreamError as error:
                assert "\n" not in str(error), error

        atheris.Setup([sys.argv[0], str(folder / "corpus"), f"-max_len={MAX_INPUT_BYTES}", *sys.argv[2:]], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
