"""`deepdream layers | classify | models`: what there is to dream with, and what the network sees."""

from typing import Optional

import typer

from .. import models, pictures
from ..net import classify
from .files import check_there
from .options import IMAGE_HELP, MODEL, check_range, load_model
from .screen import printable


def layers(
    model: Optional[str] = MODEL,
    every: bool = typer.Option(False, "--all", help="Every layer that can be dreamt, not only the ladder."),
):
    """List the layers to dream, from shallow to deep, with what each gives."""
    net, chosen = load_model(model)
    for layer in net.dreamable if every else chosen.ladder or net.dreamable:
        channels = net.blobs[net.check_layer(layer)].shape[1]
        mark = "*" if layer == net.end else " "
        print(printable(f"{mark} {layer:26} {channels:5} channels  {chosen.ladder.get(layer, '')}".rstrip()))
    print(printable(f"* the default of {chosen.name}"))


def classify_command(
    images: list[str] = typer.Argument(..., metavar="IMAGE...", help=IMAGE_HELP),
    model: Optional[str] = MODEL,
    top: int = typer.Option(5, "--top", help="How many answers."),
):
    """What is this a picture of? Try it on a picture and on its dream."""
    check_range("--top", top, 1)
    for name in images:
        check_there(name)
    net, _ = load_model(model)
    for name in images:
        answers = classify(net, pictures.picture(name), top=top)
        if len(images) > 1:
            print(f"{name}:")
        for label, probability in answers:
            print(printable(f"{probability:7.1%}  {label}"))


def models_command():
    """List the networks, and where their weights are."""
    for name in models.model_names():
        model = models.find_model(name)
        found = models.local_weights(model)
        print(f"{name}\n  {model.title}\n  dreams {model.end} by default\n  weights: "
              f"{found or 'not on this machine; fetched when first used'} ({model.weights.get('licence', '')})")
