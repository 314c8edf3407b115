"""`deepdream atlas | activations`: what each channel looks for, and which channels an image lights up."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np
import typer

from .._types import Image
from ..channel_activity import ChannelActivity, active_channels, heat_map
from ..data.bundled import BUILT_IN
from ..defaults import defaults_of
from ..errors import DreamError, ParameterError
from ..io.arrays import resize, to_uint8
from ..io.files import why_not_a_folder
from ..io.image import read_image
from ..network.net import Net
from ..objectives import check_channels
from ..recipes.atlas import (
    ITER_N,
    SIZE,
    atlas_gallery,
    channel_of,
    channels_in,
    image_name,
    label_of,
    other_settings,
    strongest_pictures,
    write_atlas_page,
)
from ..recipes.gallery import is_made, make_gallery
from ..recipes.gallery_file import SEED, Entry
from ..recipes.inputs import abbreviate_home
from ..recipes.render import cached_net
from ..recipes.sheet import Cell, check_sheet_format, write_sheet
from ..text import counted, printable
from ..validation import MAX_SEED, parse_int
from . import INCOMPLETE
from .cluster_options import SCHEDULER, WORKERS, check_cluster
from .console import progress_line, say
from .files import check_image_exists, check_not_read, check_writable
from .inputs import open_input
from .loading import DEFAULT_MODEL, GPU, MODEL, load_model
from .parsing import check_range, parse_gpu, parse_place, quoted

_SHEET_SIZE = 320  # pixels: the longer side of a heat map in a sheet
_MAX_RANGE = 2**16  # channels
_MAX_LISTED = 20  # channels in a message; more do not fit in it
_GAP = 6  # pixels, between a heat map and the channel's image


def atlas(
    layer: str = typer.Argument(..., metavar="LAYER", help="Layer whose channels are shown; see `deepdream layers`."),
    output: Path = typer.Option(
        ..., "-o", "--output", metavar="DIR", help="Folder for the images and the page; created if it does not exist."
    ),
    model: Optional[str] = MODEL,
    channels: Optional[str] = typer.Option(
        None, "--channels", metavar="LIST", show_default=False, help="Only these, as in 0-63,90. [default: all]"
    ),
    size: int = typer.Option(SIZE, "--size", metavar="PIXELS", help="Width and height of each image."),
    iters: int = typer.Option(ITER_N, "--iters", help="Steps at each of the three scales."),
    seed: int = typer.Option(SEED, "--seed", help="Random seed for the noise and the jitter."),
    workers: Optional[int] = WORKERS,
    scheduler: Optional[str] = SCHEDULER,
    gpu: str = GPU,
) -> None:
    """Make an image of each channel of a layer, and an HTML page to browse and search them.

    Existing images are not made again. If an atlas was stopped, start it again to continue where it stopped.
    """
    check_range("--size", size, 1)
    check_range("--iters", iters, 1)
    check_range("--seed", seed, 0, MAX_SEED)
    check_cluster(workers, scheduler)
    chosen = None if channels is None else _parse_channels(channels)
    if output.exists() and not output.is_dir():
        raise DreamError(f"-o {output} {why_not_a_folder(output)} for the images and the page")
    check_writable(output / "atlas.html" if output.is_dir() else output, output)
    model = model or DEFAULT_MODEL  # the layer is one of that network
    net = cached_net(abbreviate_home(model), parse_gpu(gpu))  # which `make_gallery` uses, too
    count = net.blobs[net.check_layer(layer)].shape[1]
    chosen = list(range(count)) if chosen is None else chosen
    check_channels(chosen, count, repr(layer))
    gallery = atlas_gallery(model, layer, chosen, size, iters, seed)
    others = [channel for channel in channels_in(output, layer) if channel < count and channel not in chosen]
    earlier = atlas_gallery(model, layer, others, size, iters, seed)
    if difference := other_settings(gallery, output) or other_settings(earlier, output):
        raise DreamError(
            f"-o {output} holds an atlas of {layer} with {difference}; use the same settings, or another folder"
        )
    output.mkdir(exist_ok=True)
    texts = dict(enumerate(strongest_pictures(net, net.check_layer(layer))))
    shown = list(chosen)  # and what earlier commands made
    for entry in earlier.entries:
        path = output / f"{entry.name}.png"
        if is_made(entry.recipe, path):
            shown.append(channel_of(entry))
            _add_label(texts, net, entry, path)
    whole = atlas_gallery(model, layer, sorted(shown), size, iters, seed)
    page = write_atlas_page(whole, output, texts)
    say(f"{page.name} shows the images as they are made")
    total, done, made, failed = len(gallery.entries), 0, 0, 0
    with progress_line() as progress:
        task = progress.add_task(f"0/{total}", total=total)

        def show_progress(entry: Entry, share: float) -> None:
            progress.update(task, completed=done + share, description=f"{done + 1}/{total} {entry.title}")

        outcomes = make_gallery(gallery, output, scheduler, workers, show_progress, parse_gpu(gpu), page=False)
        for outcome in outcomes:
            done, made, failed = done + 1, made + outcome.made, failed + (outcome.error is not None)
            progress.update(task, completed=done, description=f"{done}/{total}")
            if outcome.error is None:
                _add_label(texts, net, outcome.entry, outcome.path)
            if outcome.made:
                write_atlas_page(whole, output, texts)
    write_atlas_page(whole, output, texts)
    say(f"{made} made, {total - made - failed} already there, {failed} failed")
    print(page.resolve(), flush=True)
    if failed:
        raise typer.Exit(INCOMPLETE)


def activations(
    image: str = typer.Argument(..., metavar="IMAGE", help="File, - (standard input), or a built-in name."),
    model: Optional[str] = MODEL,
    end: Optional[str] = typer.Option(
        None, "--end", metavar="LAYER", show_default=False, help="Layer to look at. [default: the model's]"
    ),
    at: Optional[str] = typer.Option(
        None,
        "--at",
        metavar="X,Y",
        show_default=False,
        help="Place in the image, in pixels from the left and from above. [default: the whole image]",
    ),
    top: int = typer.Option(defaults_of(active_channels)["top"], "--top", help="Number of channels to print."),
    output: Optional[Path] = typer.Option(
        None,
        "-o",
        "--output",
        metavar="OUT",
        show_default=False,
        help="Also write a sheet (png, jpg, tif, webp, html): where each channel responds.",
    ),
    atlas_folder: Optional[Path] = typer.Option(
        None,
        "--atlas",
        metavar="DIR",
        show_default=False,
        help="Folder of an atlas, whose images are shown on the sheet.",
    ),
    max_size: Optional[int] = typer.Option(
        None,
        "--max-size",
        metavar="PIXELS",
        show_default=False,
        help="If the image is larger, scale its longer side down to PIXELS.",
    ),
    gpu: str = GPU,
) -> None:
    """Print which channels of a layer an image lights up, and where each is strongest.

    The numbers are those of `deepdream dream --channel`.
    """
    check_range("--top", top, 1)
    check_range("--max-size", max_size, 1)
    place = None if at is None else parse_place("--at", at)
    if image != "-":
        check_image_exists(image)
    if output is not None:
        check_sheet_format(output)
        check_writable(output, output)
        check_not_read(output, [] if image in BUILT_IN else [image])
    if atlas_folder is not None and not atlas_folder.is_dir():
        raise DreamError(
            f"--atlas {atlas_folder} is not a folder; make one with: deepdream atlas {end or 'LAYER'} -o {atlas_folder}"
        )
    if atlas_folder is not None and output is None:
        raise ParameterError("--atlas shows its images on the sheet; name one with -o, as in -o channels.png")
    full = open_input(image, max_size)
    net, _ = load_model(model, None if end is None else [end], parse_gpu(gpu))
    layer = net.end if end is None else end
    if atlas_folder is not None and not channels_in(atlas_folder, layer):
        raise DreamError(
            f"--atlas {atlas_folder} has no images of the channels of {layer}; make them with: deepdream atlas {layer} "
            f"-o {atlas_folder}"
        )
    img = full.fit(max_size)
    found = active_channels(net, img, layer, place, top)
    value = "mean" if place is None else f"at {place[0]},{place[1]}"
    print(printable(f"{layer}: channel, {value}, largest, where"))
    for each in found:
        print(f"{each.channel:6} {each.value:10.2f} {each.peak:10.2f}   {each.x},{each.y}")
    if output is not None:
        if atlas_folder is not None:
            _tell_missing(atlas_folder, layer, [each.channel for each in found], model)
        write_sheet(output, f"The channels of {layer} in {image}", _cells(img, layer, found, value, atlas_folder))
        print(output.resolve(), flush=True)


def _add_label(texts: dict[int, str], net: Net, entry: Entry, path: Path) -> None:
    """Put the classifier's label for a channel's image before the channel's text."""
    if label := label_of(net, read_image(path)):
        channel = channel_of(entry)
        texts[channel] = f"{label}; {texts[channel]}"


def _tell_missing(folder: Path, layer: str, channels: Sequence[int], model: Optional[str]) -> None:
    """Print a line if an atlas lacks images of some channels, with the command that makes them."""
    existing = set(channels_in(folder, layer))
    missing = sorted(set(channels) - existing)
    if missing:
        listed = f" --channels {','.join(map(str, missing))}" if len(missing) <= _MAX_LISTED else ""
        network = "" if model is None else f" --model {shlex.quote(model)}"
        say(
            f"--atlas {folder} lacks {counted(len(missing), 'image')} of these channels; to make them: "
            f"deepdream atlas {layer}{network}{listed} -o {shlex.quote(str(folder))}"
        )


def _cells(
    img: Image, layer: str, found: Sequence[ChannelActivity], value: str, atlas_folder: Optional[Path]
) -> list[Cell]:
    """The image itself and the heat map of each channel, beside the channel's image if an atlas has it."""
    scale = min(1.0, _SHEET_SIZE / max(img.shape[:2]))
    small = resize(img, *(max(1, round(n * scale)) for n in img.shape[:2])) if scale < 1 else img
    cells = [Cell(layer, "the image itself", to_uint8(small))]
    for each in found:
        shown = heat_map(small, each.map)
        path = None if atlas_folder is None else atlas_folder / f"{image_name(layer, each.channel)}.png"
        if path is not None and path.exists():
            side = shown.shape[0]
            channel_image = to_uint8(resize(read_image(path), side, side))
            shown = np.concatenate([shown, np.full((side, _GAP, 3), 255, np.uint8), channel_image], axis=1)
        cells.append(Cell(f"channel {each.channel}", f"{value}: {each.value:.1f}, largest: {each.peak:.1f}", shown))
    return cells


def _parse_channels(text: str) -> list[int]:
    """The numbers of a list such as 0-63,90, ascending, each once."""
    numbers: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        first = parse_int(found[1]) if found else None
        last = first if found is None or found[2] is None else parse_int(found[2])
        if first is None or last is None:
            raise ParameterError(
                f"--channels {quoted(text)}: it must be a list of numbers from 0, as in --channels 0-63,90"
            )
        if last < first:
            raise ParameterError(
                f"--channels {quoted(text)}: {part.strip()} ends before it begins; write {last}-{first}"
            )
        if last - first > _MAX_RANGE:
            raise ParameterError(
                f"--channels {quoted(text)}: {part.strip()} are more than {_MAX_RANGE} channels, which no layer has"
            )
        numbers.update(range(first, last + 1))
    return sorted(numbers)
