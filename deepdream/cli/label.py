"""`deepdream label`: a picture of a label, out of noise."""

import inspect
from pathlib import Path
from typing import Optional

import numpy as np
import typer

from ..checks import MOST_JITTER, MOST_STEP
from ..dream import fresh_seed
from ..image import write_image
from ..labels import label_picture, label_steps
from ..net import classify
from ..objectives import label as label_objective
from ..pictures import picture
from ..recipe import Recipe, short_name
from .files import picture_targets
from .options import MODEL, check_range, load_model
from .screen import progress_line, say

# The library's signature is the only home of a default.
DEFAULT = {name: parameter.default for name, parameter in inspect.signature(label_picture).parameters.items()}


def label(
    name: str = typer.Argument(..., metavar="NAME", help="What to show: banana, \"sea star\", or a label's number."),
    output: Path = typer.Option(Path("label.png"), "-o", "--output", metavar="OUT",
                                help="The picture to write (png, jpg, tif, webp)."),
    model: Optional[str] = MODEL,
    size: int = typer.Option(DEFAULT["size"], "--size", metavar="PIXELS", help="The picture's width and height."),
    iters: int = typer.Option(DEFAULT["iter_n"], "--iters", help="Steps per scale."),
    octaves: int = typer.Option(DEFAULT["octave_n"], "--octaves", help="How many scales, small to large."),
    octave_scale: float = typer.Option(DEFAULT["octave_scale"], "--octave-scale", help="From one scale to the next."),
    step: float = typer.Option(DEFAULT["step_size"], "--step", help="Mean change of a value in a first step, of 255."),
    jitter: int = typer.Option(DEFAULT["jitter"], "--jitter", help="Largest random shift in pixels."),
    seed: Optional[int] = typer.Option(None, "--seed", show_default=False,
                                       help="Of the noise and the shifts; the same seed gives the same picture."),
):
    """Make a picture of what the network calls by a name, out of noise."""
    for option, value, *limits in (("--size", size, 1), ("--iters", iters, 1), ("--octaves", octaves, 1),
                                   ("--octave-scale", octave_scale, 1), ("--step", step, 0, MOST_STEP),
                                   ("--jitter", jitter, 0, MOST_JITTER), ("--seed", seed, 0, 2**32 - 1)):
        check_range(option, value, *limits)
    target = picture_targets([name], output, single="label.png")[0]
    net, chosen = load_model(model)
    objective = label_objective(net, name)
    settings = {"seed": fresh_seed() if seed is None else seed, "iter_n": iters, "octave_n": octaves,
                "octave_scale": octave_scale, "step_size": step, "jitter": jitter}
    steps = label_steps(net, objective.spec["index"], size, **settings)
    with progress_line() as progress:
        task = progress.add_task("noise", total=octaves * iters)
        for step_made in steps:
            progress.update(task, advance=1, description=f"scale {step_made.octave + 1}/{octaves}")
    recipe = Recipe(kind="label", input=f"noise:{size}x{size}", model=short_name(model or chosen.name),
                    objective=objective.spec, more={"blur": DEFAULT["blur"]}, **settings)
    write_image(target, step_made.image, recipe=recipe.complete(net, picture(recipe.input)))
    seen, probability = classify(net, np.rint(step_made.image.clip(0, 255)), top=1)[0]
    say(f"{net.labels[objective.spec['index']]}, seed {settings['seed']}: the classifier sees {seen}, "
        f"{probability:.1%}")
    print(target.resolve(), flush=True)
