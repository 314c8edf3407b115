"""Tests whether our dreams are as close to a reference as they are to each other with different seeds.

    python benchmarks/fidelity.py REFERENCE... --recipe RECIPE... [--seeds 5] [-o TABLE.md]

A REFERENCE is an image that another program dreamt, or an .npz with `input`, `output` and `params` (a dict of
`deepdream`'s arguments). A RECIPE is an image that deepdream wrote, or FILE.toml:NAME of a gallery; each reference is
compared with the recipe at the same place in its list, or with the only one. An .npz does not need one. `--recipe`
without a reference compares only our own seeds.

Gradient ascent is chaotic and the seed of a reference is unknown, so pixels cannot be compared. Instead, activations of
the network are compared: the mean of each channel at four layers, from strokes to things. The distance of two images
at a layer is that of these vectors, relative to their mean length. Each recipe is dreamt with several seeds, each on a
freshly loaded network; a reference agrees at a layer if its mean distance to our seeds is not larger than the largest
distance between two of our seeds.
"""

import argparse
import ast
import functools
import inspect
import itertools
import os
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

import deepdream as dd
from deepdream.network.tiling import set_input

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LAYERS = ("conv2/3x3", "inception_3b/output", "inception_4c/output", "inception_5b/output")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=__doc__.split("\n\n", 2)[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("references", nargs="*", type=Path, metavar="REFERENCE")
    parser.add_argument("--recipe", nargs="+", default=[], metavar="RECIPE")
    parser.add_argument("--seeds", type=int, default=5, help="number of our own dreams [5]")
    parser.add_argument("--max-size", type=int, help="scale the longer side down to this")
    parser.add_argument("-o", "--output", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    if arguments.seeds < 3:
        parser.error("--seeds must be 3 or more: with two, there is only one distance to compare with")
    comparisons = list(pair(arguments.references, arguments.recipe, parser))
    parts, agree = [], True
    for reference, recipe in comparisons:
        text, agrees = compare(reference, recipe, arguments.seeds, arguments.max_size)
        print(text, flush=True)
        parts.append(text)
        agree = agree and agrees
    if arguments.output:
        temporary = arguments.output.with_name(f".{os.getpid()}-{arguments.output.name}")
        temporary.write_text("\n".join(parts), encoding="utf-8")
        os.replace(temporary, arguments.output)
    sys.exit(0 if agree else 1)


def pair(references, recipes, parser):
    """(reference, recipe) of each comparison; one of the two may be `None`."""
    if not references:
        if not recipes:
            parser.error("give a REFERENCE, a --recipe, or both")
        return ((None, recipe) for recipe in recipes)
    if len(recipes) in (0, 1):
        recipes = [*recipes, None][:1] * len(references)
    if len(recipes) != len(references):
        parser.error(f"{len(references)} references and {len(recipes)} recipes: give one for all, or one for each")
    return zip(references, recipes)


def compare(reference, recipe, seeds, max_size):
    """(the table as Markdown, whether the reference agrees at every layer)."""
    if reference is not None and reference.suffix == ".npz":
        name, made, image, guide, theirs = vector(reference)
    else:
        if recipe is None:
            raise dd.DreamError(f"{reference}: a picture needs a --recipe for the comparison")
        name, made = named_recipe(recipe)
        image, guide = made.pictures()
        theirs = None if reference is None else dd.read_image(reference)
    if max_size:
        made = replace(made, max_size=max_size)
    taken = [seed for seed in range(1000, 1001 + seeds) if seed != made.seed][:seeds]
    ours = [statistics(made.model, dream(made, image, guide, seed)) for seed in taken]
    own = {layer: [distance(a[layer], b[layer]) for a, b in itertools.combinations(ours, 2)] for layer in LAYERS}
    undreamt = statistics(made.model, made.fit(image))
    lines = [
        f"### {name}",
        "",
        *([f"Reference: {reference.name}.", ""] if reference is not None else []),
        "| layer | between our seeds: mean | largest | the undreamt picture |"
        + (" reference to our seeds: mean | |" if reference is not None else ""),
        "|---|---|---|---|" + ("---|---|" if reference is not None else ""),
    ]
    agrees = True
    seen = None if theirs is None else statistics(made.model, theirs)
    for layer in LAYERS:
        row = [
            layer,
            *(
                f"{value:.4f}"
                for value in (
                    np.mean(own[layer]),
                    max(own[layer]),
                    np.mean([distance(undreamt[layer], each[layer]) for each in ours]),
                )
            ),
        ]
        if seen is not None:
            far = np.mean([distance(seen[layer], each[layer]) for each in ours])
            row += [f"{far:.4f}", "agrees" if far <= max(own[layer]) else "differs"]
            agrees = agrees and far <= max(own[layer])
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n", agrees


def vector(path):
    """(name, recipe, input, guide, output) of a reference vector."""
    with np.load(path) as arrays:
        settings = ast.literal_eval(str(arrays["params"]))
        guide = arrays["guide"] if "guide" in arrays.files else None
        recipe = dd.Recipe(input=path.stem, objective="L2" if guide is None else "guided", **settings)
        height, width = arrays["input"].shape[:2]
        said = ", ".join(f"{key} {value}" for key, value in settings.items())
        return f"{width}×{height}, {said}", recipe, arrays["input"], guide, arrays["output"]


def named_recipe(text):
    """(name, recipe) of a picture's file or of FILE.toml:NAME."""
    file, colon, name = text.rpartition(":")
    if not colon or not file.endswith(".toml"):
        return Path(text).name, dd.Recipe.from_image(text)
    try:
        pictures = tomllib.loads(Path(file).read_text(encoding="utf-8"))["picture"]
    except (OSError, KeyError, ValueError) as error:
        raise dd.DreamError(f"{file} cannot be read as a gallery: {error}") from None
    tables = {}
    for table in pictures:
        tables[table["name"]] = {**tables.get(table.get("like"), {}), **table}
    if name not in tables:
        raise dd.DreamError(f"{file} has no picture with the name {name!r}")
    return name, gallery_recipe(tables[name])


def gallery_recipe(table):
    """The recipe of a `[[picture]]` table, with the same defaults as `deepdream gallery` uses."""
    names = {field.name for field in fields(dd.Recipe)}
    defaults = {"seed": 2015}
    if table.get("kind") == "label":
        label = {name: parameter.default for name, parameter in inspect.signature(dd.label_picture).parameters.items()}
        defaults = {
            **{name: label[name] for name in label.keys() & names},
            **defaults,
            "input": f"noise:{label['size']}x{label['size']}",
            "more": {"blur": label["blur"]},
        }
    return dd.Recipe(**{name: value for name, value in {**defaults, **table}.items() if name in names})


def dream(recipe, image, guide, seed):
    """The dream of a recipe with another seed, on a freshly loaded network, with the values of its file."""
    recipe = replace(recipe, seed=seed, input_sha256=None, guide_sha256=None, versions={})
    return np.rint(recipe.render(image=image, guide=guide).clip(0, 255)).astype(np.float32)


def statistics(model, image):
    """{layer: mean activation of each channel, rectified}, of an image in its own size."""
    net = observer(model)
    set_input(net, dd.preprocess(net, image))
    found = {}
    for layer in LAYERS:
        net.forward(end=layer)  # from the picture each time: values before an in-place ReLU
        found[layer] = np.maximum(net.blobs[layer].data[0], 0).mean(axis=(1, 2), dtype=np.float64)
    return found


@functools.lru_cache(maxsize=1)
def observer(model):
    """The network that only measures: a forward pass leaves nothing that a later one would read."""
    return dd.load(model)


def distance(a, b):
    """The distance of two vectors, relative to their mean length."""
    return float(2 * np.linalg.norm(a - b) / (np.linalg.norm(a) + np.linalg.norm(b)))


if __name__ == "__main__":
    try:
        main()
    except dd.DreamError as error:
        sys.exit(f"fidelity: {error}")
