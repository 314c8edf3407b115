"""`deepdream layers | classify`: lists layers, and classifies images."""

from pathlib import Path
from typing import Any, Optional

import typer

from ..classification import classify
from ..data.bundled import BUILT_IN, open_picture
from ..defaults import defaults_of
from ..errors import ImageError
from ..io.files import why_not_a_folder
from ..recipes.gallery_file import Entry, Gallery, Outcome
from ..recipes.layer_trial import MAX_SIZE, layer_gallery, parts_folder, try_layers
from ..recipes.sheet import check_sheet_format
from ..text import printable
from ..zoo.registry import Model
from . import INCOMPLETE
from .cluster_options import SCHEDULER, WORKERS, check_cluster
from .console import progress_line, say
from .files import check_image_exists, check_not_read, check_writable
from .inputs import IMAGES_HELP, expand_images, open_input
from .loading import GPU, MODEL, load_model
from .parsing import check_range, parse_gpu


def layers(
    model: Optional[str] = MODEL,
    every: bool = typer.Option(False, "--all", help="Every layer that can be dreamt, not only the main ones."),
    image: Optional[str] = typer.Option(
        None,
        "--try",
        metavar="IMAGE",
        show_default=False,
        help="Dream on this image at each layer, and write a sheet of the results.",
    ),
    output: Path = typer.Option(
        "layers.png", "-o", "--output", metavar="OUT", help="With --try: the sheet (png, jpg, tif, webp, html)."
    ),
    max_size: int = typer.Option(
        MAX_SIZE, "--max-size", metavar="PIXELS", help="With --try: the longer side of each dream."
    ),
    workers: Optional[int] = WORKERS,
    scheduler: Optional[str] = SCHEDULER,
    gpu: str = GPU,
) -> None:
    """List the layers that can be dreamt, and what each one gives. With --try, show it on an image.

    The shallowest layer comes first. If --try was stopped, start it again to continue where it stopped: the dreams are
    kept in the folder OUT.layers until the sheet is written.
    """
    if image is not None:
        check_range("--max-size", max_size, 1)
        check_cluster(workers, scheduler)
        check_image_exists(image)
        check_sheet_format(output)
        check_writable(output, output)
        check_not_read(output, [] if image in BUILT_IN else [image])
        if parts_folder(output).exists() and not parts_folder(output).is_dir():
            raise ImageError(f"-o {output}: {parts_folder(output)} {why_not_a_folder(parts_folder(output))}")
        if image not in BUILT_IN:
            open_picture(image, max_size)  # a damaged file fails before the network is loaded
    net, chosen = load_model(model, gpu=parse_gpu(gpu))
    shown = list(net.dreamable if every else chosen.ladder or net.dreamable)
    if image is not None:
        trial = layer_gallery(image, model or chosen.name, shown, max_size)
        _try_layers(trial, output, chosen, workers=workers, scheduler=scheduler, gpu=parse_gpu(gpu))
        return
    for layer in shown:
        blob = net.check_layer(layer)  # a ladder may use the layer's own name
        channels = net.blobs[blob].shape[1]
        mark = "*" if blob == net.end else " "
        print(printable(f"{mark} {layer:26} {channels:5} channels  {chosen.ladder.get(layer, '')}".rstrip()))
    print(printable(f"* the default of {chosen.name}"))


def _try_layers(trial: Gallery, output: Path, model: Model, **make: Any) -> None:
    """Dream at each layer with a progress line, and write the sheet."""
    total, done = len(trial.entries), 0
    failed: list[Outcome] = []
    with progress_line() as progress:
        task = progress.add_task(f"0/{total}", total=total)

        def show_progress(entry: Entry, share: float) -> None:
            progress.update(task, completed=done + share, description=f"{done + 1}/{total} {entry.title}")

        for outcome in try_layers(trial, output, dict(model.ladder), progress=show_progress, **make):
            done += 1
            failed += [outcome] if outcome.error else []
            progress.update(task, completed=done, description=f"{done}/{total}")
    say(f"{total - len(failed)} layers of {model.name} tried: deepdream dream IMAGE --end LAYER dreams at one of them")
    print(output.resolve(), flush=True)
    if failed:
        raise typer.Exit(INCOMPLETE)


def classify_command(
    images: list[str] = typer.Argument(..., metavar="IMAGE...", help=IMAGES_HELP),
    model: Optional[str] = MODEL,
    top: int = typer.Option(defaults_of(classify)["top"], "--top", help="Number of labels to print."),
) -> None:
    """Print the labels that the network gives to images. Try it on an image and on its dream."""
    check_range("--top", top, 1)
    names = expand_images(images)
    several = names != images or len(names) > 1
    net, _ = load_model(model)
    failed_n = 0
    for name in names:
        try:
            answers = classify(net, open_input(name, max(net.input_size)), top=top)  # it does not use more pixels
        except (ImageError, MemoryError) as error:
            if not several:
                raise
            say(f"{name} could not be classified: {str(error) or type(error).__name__}")
            failed_n += 1
            continue
        if several:
            print(f"{name}:")
        for label, probability in answers:
            print(printable(f"{probability:7.1%}  {label}"))
    if failed_n:
        raise typer.Exit(INCOMPLETE)
