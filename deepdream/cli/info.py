"""`deepdream layers | classify`: lists layers, and classifies images."""

from typing import Optional

import typer

from ..classification import classify
from ..defaults import defaults_of
from ..errors import ImageError
from ..text import printable
from . import INCOMPLETE
from .console import say
from .inputs import IMAGES_HELP, expand_images, open_input
from .loading import MODEL, load_model
from .parsing import check_range


def layers(
    model: Optional[str] = MODEL,
    every: bool = typer.Option(False, "--all", help="List every layer that can be dreamt, not only the main ones."),
) -> None:
    """List the layers that can be dreamt, and what each one gives.

    The shallowest layer comes first.
    """
    net, chosen = load_model(model)
    for layer in net.dreamable if every else chosen.ladder or net.dreamable:
        blob = net.check_layer(layer)  # a ladder may use the layer's own name
        channels = net.blobs[blob].shape[1]
        mark = "*" if blob == net.end else " "
        print(printable(f"{mark} {layer:26} {channels:5} channels  {chosen.ladder.get(layer, '')}".rstrip()))
    print(printable(f"* the default of {chosen.name}"))


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
