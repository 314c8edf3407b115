"""`deepdream layers | classify`: lists layers, and classifies images."""

from typing import Optional

import typer

from ..classification import classify
from ..data.bundled import open_picture
from ..defaults import defaults_of
from ..text import printable
from .files import IMAGE_HELP, check_image_exists
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
    images: list[str] = typer.Argument(..., metavar="IMAGE...", help=IMAGE_HELP),
    model: Optional[str] = MODEL,
    top: int = typer.Option(defaults_of(classify)["top"], "--top", help="Number of labels to print."),
) -> None:
    """Print the labels that the network gives to images. Try it on an image and on its dream."""
    check_range("--top", top, 1)
    for name in images:
        check_image_exists(name)
    net, _ = load_model(model)
    for name in images:
        answers = classify(net, open_picture(name, max(net.input_size)), top=top)  # it does not use more pixels
        if len(images) > 1:
            print(f"{name}:")
        for label, probability in answers:
            print(printable(f"{probability:7.1%}  {label}"))
