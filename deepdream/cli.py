"""The `deepdream` command.

Exit codes: 0 done; 2 bad input, with one line that says what; 130 interrupted; 1 nobody reads the output any more
(`head` has seen enough). What was made is printed on standard output, everything else on standard error.
"""

import inspect
import itertools
import logging
import math
import os
import sys
import tempfile
from pathlib import Path
from typing import Optional

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from . import models, pictures
from .dream import deepdream, dream_steps, fresh_seed, octave_shapes, resolve_end
from .errors import DreamError, ImageError, ParameterError, WeightsError
from .image import check_image, output_format, resize, write_image
from .net import classify
from .tiles import SMALLEST_TILE

log = logging.getLogger(__name__)
screen = Console(stderr=True, highlight=False)
app = typer.Typer(add_completion=False, rich_markup_mode=None,
                  help="DeepDream: a trained classifier asked, backwards, for more of what it sees.")

# Typer's errors are Click's, which newer releases carry inside: this is the one name that both have.
UsageProblem = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

BAD_INPUT, INTERRUPTED, UNREAD = 2, 130, 1
FIRST, FALLBACK = "bvlc_googlenet", "squeezenet_v1.1"
# The library's signature is the only home of a default.
DEFAULT = {name: parameter.default for name, parameter in inspect.signature(deepdream).parameters.items()}

IMAGE_HELP = f"Files, noise:WxH, or built-in: {', '.join(pictures.BUILT_IN)}."
MODEL = typer.Option(None, "--model", metavar="NAME|DIR", show_default=False,
                     help=f"The network. [default: {FIRST}, or {FALLBACK} where that cannot be had]")


@app.command()
def dream(
    images: Optional[list[str]] = typer.Argument(None, metavar="[IMAGE]...", show_default="sky", help=IMAGE_HELP),
    output: Path = typer.Option(Path("dream.png"), "-o", "--output", metavar="OUT",
                                help="The picture to write (png, jpg, tif, webp); a folder for several."),
    model: Optional[str] = MODEL,
    end: Optional[str] = typer.Option(None, "--end", metavar="LAYER", show_default=False,
                                      help="The layer to dream; `deepdream layers` lists them. [default: the model's]"),
    iters: int = typer.Option(DEFAULT["iter_n"], "--iters", help="Steps per octave."),
    octaves: int = typer.Option(DEFAULT["octave_n"], "--octaves", help="How many sizes to dream at."),
    octave_scale: float = typer.Option(DEFAULT["octave_scale"], "--octave-scale", help="From one size to the next."),
    step: float = typer.Option(DEFAULT["step_size"], "--step", help="Mean change of a value in one step, of 255."),
    jitter: int = typer.Option(DEFAULT["jitter"], "--jitter", help="Largest random shift in pixels."),
    clip: bool = typer.Option(DEFAULT["clip"], "--clip/--no-clip", help="Keep the values within 0..255."),
    seed: Optional[int] = typer.Option(None, "--seed", show_default=False,
                                       help="Of the random shifts; the same seed gives the same picture."),
    # "auto" rather than the library's None: it changes nothing for a picture that fits, and one that does not is
    # better dreamt in tiles than refused.
    tile: str = typer.Option("auto", "--tile", metavar="N|auto|none",
                             help="Dream in tiles of N pixels: less memory for large pictures. auto: if need be."),
    max_size: Optional[int] = typer.Option(None, "--max-size", metavar="PIXELS", show_default=False,
                                           help="Scale a larger picture down to this longer side."),
    strength: float = typer.Option(1.0, "--strength", help="Blend with the original: 0 the original, 1 the dream."),
):
    """Dream on pictures. Without arguments: on the sky, with the default network, into dream.png."""
    names = images or ["sky"]
    _check_range("--iters", iters, 1)
    _check_range("--octaves", octaves, 1)
    _check_range("--octave-scale", octave_scale, 1)
    _check_range("--step", step)
    _check_range("--jitter", jitter, 0)
    _check_range("--strength", strength, 0, 1)
    _check_range("--seed", seed, 0, 2**32 - 1)
    _check_range("--max-size", max_size, 1)
    tile_size = _tile(tile)
    targets = _targets(names, output)
    for name in names:
        _check_there(name)
    imgs = (check_image(pictures.picture(name)) for name in names)
    # A file is read before the network, whose weights may have to be fetched: a damaged picture needs none.
    first = [] if names[0] in pictures.BUILT_IN else [next(imgs)]
    net = _load(model, end)
    layer = resolve_end(net, end, None)
    for name, target, full in zip(names, targets, itertools.chain(first, imgs)):
        img = _fit(full, max_size)
        settings = {"iter_n": iters, "octave_n": octaves, "octave_scale": octave_scale, "end": layer, "clip": clip,
                    "step_size": step, "jitter": jitter, "seed": fresh_seed() if seed is None else seed,
                    "tile": tile_size}
        result = _dream(net, img, settings)
        write_image(target, result if strength == 1 else img + strength * (result - img))
        scaled = f", scaled from {_size(full)} to {_size(img)}" if img.shape != full.shape else ""
        screen.print(f"{name} dreamt at {layer}, seed {settings['seed']}{scaled}", soft_wrap=True, markup=False)
        print(target.resolve(), flush=True)


@app.command()
def layers(
    model: Optional[str] = MODEL,
    every: bool = typer.Option(False, "--all", help="Every layer that can be dreamt, not only the ladder."),
):
    """List the layers to dream, from shallow to deep, with what each gives."""
    net, chosen = _load_model(model, None)
    for layer in net.dreamable if every else chosen.ladder or net.dreamable:
        channels = net.blobs[net.check_layer(layer)].shape[1]
        mark = "*" if layer == net.end else " "
        print(f"{mark} {layer:26} {channels:5} channels  {chosen.ladder.get(layer, '')}".rstrip())
    print(f"* the default of {chosen.name}")


@app.command("classify")
def classify_command(
    images: list[str] = typer.Argument(..., metavar="IMAGE...", help=IMAGE_HELP),
    model: Optional[str] = MODEL,
    top: int = typer.Option(5, "--top", help="How many answers."),
):
    """What is this a picture of? Try it on a picture and on its dream."""
    _check_range("--top", top, 1)
    for name in images:
        _check_there(name)
    net = _load(model, None)
    for name in images:
        answers = classify(net, pictures.picture(name), top=top)
        if len(images) > 1:
            print(f"{name}:")
        for label, probability in answers:
            print(f"{probability:7.1%}  {label}")


@app.command("models")
def models_command():
    """List the networks, and where their weights are."""
    for name in models.model_names():
        model = models.find_model(name)
        found = models.local_weights(model)
        print(f"{name}\n  {model.title}\n  dreams {model.end} by default\n  weights: "
              f"{found or 'not on this machine; fetched when first used'} ({model.weights.get('licence', '')})")


def _check_range(option, value, lowest=-math.inf, highest=math.inf):
    """Refuse a number before anything is fetched. The library checks too, but does not know the option's name."""
    if value is None or (math.isfinite(value) and lowest <= value <= highest):
        return
    limit = f"from {lowest} to {highest}" if highest < math.inf else f"{lowest} or more"
    raise ParameterError(f"{option} {value}: must be {limit if lowest > -math.inf else 'a finite number'}")


def _tile(text):
    """The library's `tile` for the command's."""
    if text in ("auto", "none"):
        return None if text == "none" else text
    if not text.isdecimal() or int(text) < SMALLEST_TILE:
        raise ParameterError(f"--tile {text}: must be auto, none, or a whole number of pixels, {SMALLEST_TILE} or more")
    return int(text)


def _targets(names, output):
    """Where each picture's dream goes; what is wrong with the place is found before the first dream."""
    targets = _target_paths(names, output)
    for target in targets:
        try:
            with tempfile.TemporaryFile(dir=target.parent):
                pass
        except OSError as error:
            raise ImageError(f"-o {output}: the folder {target.parent} cannot be written ({error.strerror}); choose "
                             "another") from None
        if target.is_dir():
            raise ImageError(f"-o {output}: {target} is a folder; choose another name")
    return targets


def _target_paths(names, output):
    if len(names) > 1:
        if not output.is_dir():
            raise ImageError(f"-o {output}: several pictures need an existing folder; create it first")
        targets = [output / f"{Path(name.replace(':', '-')).stem}-dream.png" for name in names]
        if len(set(targets)) < len(targets):
            raise ImageError("two of the pictures have the same name, so one dream would replace the other")
        return targets
    target = output / "dream.png" if output.is_dir() else output
    output_format(target)
    if not target.parent.is_dir():
        is_what = "is a file" if target.parent.exists() else "does not exist; create it first"
        raise ImageError(f"-o {output}: the folder {target.parent} {is_what}")
    return [target]


def _check_there(name):
    """Refuse the name of a picture that does not exist, before anything is fetched or dreamt."""
    path = Path(name)
    if name not in pictures.BUILT_IN and (not path.exists() or path.is_dir()):
        pictures.picture(name)  # raises, unless it is noise


def _load(name, end):
    return _load_model(name, end)[0]


def _load_model(name, end):
    """(net, model). Only where neither a model nor a layer was asked for may another model stand in."""
    if name is None and end is None:
        try:
            models.weights_path(models.find_model(FIRST))
        except WeightsError as error:
            screen.print(f"Using {FALLBACK}: {error}", soft_wrap=True, markup=False)
            name = FALLBACK
    name = name or FIRST
    return models.load(name), models.find_model(name)


def _fit(img, max_size):
    height, width = img.shape[:2]
    if max_size is None or max(height, width) <= max_size:
        return img
    factor = max_size / max(height, width)
    return resize(img, max(1, round(height * factor)), max(1, round(width * factor))).clip(0, 255)


def _size(img):
    return f"{img.shape[1]}×{img.shape[0]}"


def _dream(net, img, settings):
    """Dream with a live progress line; the work of a step is taken to be its octave's number of pixels."""
    steps = dream_steps(net, img, **settings)
    iter_n, octave_n = settings["iter_n"], settings["octave_n"]
    areas = [h * w for h, w in octave_shapes(*img.shape[:2], octave_n, settings["octave_scale"])]
    columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f}%"),
               TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()]
    with Progress(*columns, console=screen, transient=True, speed_estimate_period=600,
                  disable=not screen.is_terminal) as progress:
        task = progress.add_task(_where(0, octave_n, 0, iter_n), total=sum(areas) * iter_n)
        for step in steps:
            progress.update(task, advance=areas[step.octave],
                            description=_where(step.octave, octave_n, step.iteration, iter_n))
    return step.image


def _where(octave, octave_n, iteration, iter_n):
    return f"octave {octave + 1}/{octave_n}, iteration {iteration + 1}/{iter_n}"


class _ScreenHandler(logging.Handler):
    """What the library logs, a line each, above the progress line."""

    def emit(self, record):
        screen.print(self.format(record), soft_wrap=True, markup=False)


def main(arguments=None):
    """Run the command and exit with its code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", force=True, handlers=[_ScreenHandler()])
    logging.getLogger("deepdream").setLevel(logging.INFO)
    if hasattr(sys.stdout, "reconfigure"):  # not in a notebook
        sys.stdout.reconfigure(errors="surrogateescape")  # a path may be any bytes
    try:
        code = app((sys.argv[1:] if arguments is None else arguments) or ["--help"], standalone_mode=False)
        print(end="", flush=True)
    except DreamError as error:
        code = _complain(str(error))
    except UsageProblem as error:
        code = _complain(error.format_message())
    except typer.Exit as done:
        code = done.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        code = UNREAD
        _drop_output()
    except OSError as error:
        code = _complain(f"{error.filename or 'the output cannot be written'}: {error.strerror or error}")
        _drop_output()
    if code == INTERRUPTED:  # raised here, or what Typer made of it
        screen.print("deepdream: interrupted")
    sys.exit(code or 0)


def _drop_output():
    """What is still buffered for standard output would be tried again, and complained about, at exit."""
    if sys.stdout is sys.__stdout__:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(text):
    screen.print(f"deepdream: {text}", markup=False, soft_wrap=True)
    return BAD_INPUT
