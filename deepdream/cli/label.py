"""`deepdream label`: makes an image of a label from noise."""

from typing import Any, Optional

import typer

from ..classification import classify
from ..data.bundled import picture
from ..defaults import defaults_of
from ..io.arrays import to_uint8
from ..io.image import check_format_size
from ..label_images import label_picture, label_steps
from ..objectives import label as label_objective
from ..recipes.inputs import abbreviate_home
from ..recipes.recipe import Recipe
from ..seeds import fresh_seed
from ..validation import MAX_JITTER, MAX_SEED, MAX_STEP_SIZE
from .console import progress_line, say
from .image_output import FORMAT, NO_METADATA_OPTION, OUTPUT_HELP, QUALITY, WriteOptions, image_targets
from .loading import MODEL, load_model
from .options import WRAP
from .parsing import check_range, check_wrap_option

_DEFAULT = defaults_of(label_picture)


def label(
    name: str = typer.Argument(..., metavar="NAME", help='Label to show: banana, "sea star", or a number.'),
    output: str = typer.Option("label.png", "-o", "--output", metavar="OUT", help=OUTPUT_HELP),
    file_format: Optional[str] = FORMAT,
    quality: Optional[int] = QUALITY,
    no_metadata: bool = NO_METADATA_OPTION,
    model: Optional[str] = MODEL,
    size: int = typer.Option(_DEFAULT["size"], "--size", metavar="PIXELS", help="Width and height of the image."),
    iters: int = typer.Option(_DEFAULT["iter_n"], "--iters", help="Steps per octave."),
    octaves: int = typer.Option(_DEFAULT["octave_n"], "--octaves", help="Number of octaves (image sizes)."),
    octave_scale: float = typer.Option(
        _DEFAULT["octave_scale"], "--octave-scale", help="Ratio of one octave's size to the next."
    ),
    step: float = typer.Option(
        _DEFAULT["step_size"],
        "--step",
        help="Step size: mean change per pixel value on a 0–255 scale in an octave's first step.",
    ),
    jitter: int = typer.Option(_DEFAULT["jitter"], "--jitter", help="Largest random shift of the image, in pixels."),
    seed: Optional[int] = typer.Option(
        None,
        "--seed",
        show_default=False,
        help="Random seed for the noise and the jitter; the same seed gives the same image.",
    ),
    wrap: Optional[str] = WRAP,
) -> None:
    """Make an image of a label from noise."""
    for option, value, *limits in (
        ("--size", size, 1),
        ("--iters", iters, 1),
        ("--octaves", octaves, 1),
        ("--octave-scale", octave_scale, 1),
        ("--step", step, 0, MAX_STEP_SIZE),
        ("--jitter", jitter, 0, MAX_JITTER),
        ("--seed", seed, 0, MAX_SEED),
    ):
        check_range(option, value, *limits)
    check_wrap_option(wrap)
    target = image_targets([name], output, file_format, default="label")[0]
    check_format_size(target.name, target.format, size, size)
    writing = WriteOptions(quality, no_metadata)
    writing.check_format(target.format)
    net, chosen = load_model(model)
    objective = label_objective(net, name)
    assert objective.spec is not None
    index = objective.spec["index"]
    settings: dict[str, Any] = {
        "seed": fresh_seed() if seed is None else seed,
        "iter_n": iters,
        "octave_n": octaves,
        "octave_scale": octave_scale,
        "step_size": step,
        "jitter": jitter,
        "wrap": wrap,
    }
    steps = label_steps(net, index, size, **settings)
    with progress_line() as progress:
        task = progress.add_task("noise", total=octaves * iters)
        for made in steps:
            progress.update(task, advance=1, description=f"scale {made.octave + 1}/{octaves}")
    recipe = Recipe(
        kind="label",
        input=f"noise:{size}x{size}",
        model=abbreviate_home(model or chosen.name),
        objective=objective.spec,
        more={"blur": _DEFAULT["blur"]},
        **settings,
    )
    writing.write(target, made.image, recipe.complete(net, picture(recipe.input)))
    answer, probability = classify(net, to_uint8(made.image), top=1)[0]  # of the file's pixels
    say(f"{net.labels[index]}, seed {settings['seed']}: the classifier sees {answer}, {probability:.1%}")
    target.print_path()
