"""The options that all commands that dream share, and what they mean for the library.

The central type is `DreamOptions`. A command takes one as its parameter `options`, and `takes_dream_options` replaces
that parameter by one option of the command line for each field:

    @takes_dream_options
    def dream(options: DreamOptions, images: …): …
"""

# Typer evaluates the annotations of the fields, so there is no `from __future__ import annotations` here.

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

import typer

from .._types import Image, ObjectiveOrMapping
from ..data.bundled import BUILT_IN, picture
from ..defaults import defaults_of
from ..dream import deepdream
from ..errors import ParameterError
from ..guide import guided
from ..io.arrays import check_image
from ..io.source import ImageSource
from ..network.layers import resolve_end
from ..network.net import Net
from ..objectives import channels, label
from ..recipes.inputs import abbreviate_home
from ..recipes.recipe import Recipe
from ..seeds import fresh_seed
from ..validation import MAX_JITTER, MAX_STEP_SIZE
from ..zoo.registry import Model
from .files import check_image_exists
from .loading import GPU, MODEL, load_model
from .parsing import check_range, parse_gpu, parse_layers, parse_tile

_DEFAULT = defaults_of(deepdream)
_END = typer.Option(
    None,
    "--end",
    metavar="LAYER[=WEIGHT]",
    show_default=False,
    help="Layer to dream; `deepdream layers` lists them. Repeatable. [default: the model's]",
)
_CHANNEL = typer.Option(
    None, "--channel", metavar="N", show_default=False, help="Maximise this channel of the layer. Repeatable."
)


@dataclass(frozen=True)
class DreamOptions:
    """How to dream, as set by the options of the command line.

    The annotation of a field is the option's type; its default is the option's name, help and default. All numbers are
    checked when the options are made, before anything is fetched.

    Attributes:
        model: a model's name or folder; `None`: the default.
        end: LAYER or LAYER=WEIGHT each; `None`: the objective's or the model's own layer.
        guide: the name of the guide image.
        channel: the channels to maximise.
        label: the label to maximise, or its number.
        iters: steps per octave.
        octaves: the number of octaves (image sizes).
        octave_scale: the ratio of one size to the next.
        step: mean change of a value in one step, on a scale of 0..255.
        jitter: the largest random shift, in pixels.
        clip: keep the values within 0..255.
        seed: the random seed of the shifts; `None`: a fresh one.
        tile: pixels, "auto" or "none".
        gpu: a number, "auto" or "none".
        max_size: the longer side, in pixels, that a larger image is scaled down to; `None`: it is not scaled.
        strength: the share of the dream that is blended into the original, 0..1.

    Raises:
        ParameterError: an option out of its range, or options that exclude each other.
        ImageError: there is no such guide.
    """

    model: Optional[str] = MODEL
    end: Optional[list[str]] = _END
    guide: Optional[str] = typer.Option(
        None, "--guide", metavar="IMAGE", show_default=False, help="Guide image: dream the features of this image."
    )
    channel: Optional[list[int]] = _CHANNEL
    label: Optional[str] = typer.Option(
        None,
        "--label",
        metavar="NAME",
        show_default=False,
        help='Maximise this label of the classifier: banana, "sea star", or a number.',
    )
    iters: int = typer.Option(_DEFAULT["iter_n"], "--iters", help="Steps per octave.")
    octaves: int = typer.Option(_DEFAULT["octave_n"], "--octaves", help="Number of octaves (image sizes).")
    octave_scale: float = typer.Option(
        _DEFAULT["octave_scale"], "--octave-scale", help="Ratio of one octave's size to the next."
    )
    step: float = typer.Option(
        _DEFAULT["step_size"], "--step", help="Step size: mean change per pixel value on a 0–255 scale."
    )
    jitter: int = typer.Option(_DEFAULT["jitter"], "--jitter", help="Largest random shift of the image, in pixels.")
    clip: bool = typer.Option(_DEFAULT["clip"], "--clip/--no-clip", help="Keep the pixel values within 0..255.")
    seed: Optional[int] = typer.Option(
        None, "--seed", show_default=False, help="Random seed for the jitter; the same seed gives the same image."
    )
    # "auto" rather than the library's None: it changes nothing for an image that fits into memory; for one that does
    # not, tiles are better than an error.
    tile: str = typer.Option(
        "auto",
        "--tile",
        metavar="N|auto|none",
        help="Dream in tiles of N pixels, which need less memory. auto: only if the image does not fit into memory.",
    )
    gpu: str = GPU
    max_size: Optional[int] = typer.Option(
        None,
        "--max-size",
        metavar="PIXELS",
        show_default=False,
        help="If the image is larger, scale its longer side down to PIXELS.",
    )
    strength: float = typer.Option(
        1.0, "--strength", help="Share of the dream in the result: 0 the original, 1 the dream."
    )

    def __post_init__(self) -> None:
        check_range("--iters", self.iters, 1)
        check_range("--octaves", self.octaves, 1)
        check_range("--octave-scale", self.octave_scale, 1)
        check_range("--step", self.step, -MAX_STEP_SIZE, MAX_STEP_SIZE)
        check_range("--jitter", self.jitter, 0, MAX_JITTER)
        check_range("--strength", self.strength, 0, 1)
        check_range("--seed", self.seed, 0, 2**32 - 1)
        check_range("--max-size", self.max_size, 1)
        parse_tile(self.tile)
        parse_gpu(self.gpu)
        parse_layers(self.end)
        given = [option for option in ("guide", "channel", "label") if getattr(self, option) not in (None, [], ())]
        if len(given) > 1:
            raise ParameterError(f"--{given[0]} and --{given[1]}: a dream has one objective; choose one of them")
        if self.label is not None and self.end:
            raise ParameterError(
                "--label and --end: a label has its own layer, that of the classifier; leave --end out"
            )
        if self.channel:
            channels(self.channel)
        if self.guide is not None:
            check_image_exists(self.guide)

    def load(self) -> tuple[Net, Model]:
        """Load the network.

        Returns:
            (network, model).

        Raises:
            DreamError: the guide, the model or the weights cannot be read, or the layers do not fit.
        """
        if self.guide not in (None, *BUILT_IN):
            _ = self.guide_image  # a damaged file is found before any weights are fetched
        net, model = load_model(self.model, self.end or self.channel, parse_gpu(self.gpu))
        resolve_end(net, parse_layers(self.end), None if self.guide else self.objective(net))
        return net, model

    def settings(self, net: Net) -> dict[str, Any]:
        """The keyword arguments of `dream_steps`, with the layers, the objective and the seed filled in."""
        objective = self.objective(net)
        return {
            "iter_n": self.iters,
            "octave_n": self.octaves,
            "octave_scale": self.octave_scale,
            "end": resolve_end(net, parse_layers(self.end), objective),
            "objective": objective,
            "clip": self.clip,
            "step_size": self.step,
            "jitter": self.jitter,
            "seed": fresh_seed() if self.seed is None else self.seed,
            "tile": parse_tile(self.tile),
        }

    def objective(self, net: Net) -> ObjectiveOrMapping:
        """The objective, made for `net`."""
        if self.label is not None:
            return label(net, self.label)
        if self.channel:
            return channels(self.channel)
        if self.guide_image is not None:
            return guided(net, self.guide_image, resolve_end(net, parse_layers(self.end), None))
        return _DEFAULT["objective"]

    @functools.cached_property
    def guide_image(self) -> Optional[Image]:
        """The guide, float32 (H, W, 3) RGB; `None` if there is none."""
        return None if self.guide is None else check_image(picture(self.guide))

    def target_description(self, settings: dict[str, Any]) -> str:
        """The layers of a dream and its objective there, for a person.

        Args:
            settings: from `settings`.
        """
        layers = settings["end"]
        if not isinstance(layers, str):
            layers = ", ".join(f"{layer}={weight:g}" for layer, weight in layers.items())
        if self.label is not None:
            return f"{layers}: {settings['objective'].spec['label']}"
        if self.channel:
            return f"{layers}, channel {', '.join(map(str, settings['objective'].spec['indices']))}"
        return f"{layers}, guided by {self.guide}" if self.guide is not None else layers

    def recipe(self, name: str, model: Model, net: Net, img: "Image | ImageSource", settings: dict[str, Any]) -> Recipe:
        """The complete recipe of a dream, which is written into its file.

        Args:
            name: the name of the input.
            model: from `load`.
            net: from `load`.
            img: the input in full size, (H, W, 3), or an `ImageSource` of it.
            settings: the keyword arguments of `dream_steps`.
        """
        return self.plan(name, model, settings).complete(net, img, self.guide_image)

    def plan(self, name: str, model: Model, settings: dict[str, Any]) -> Recipe:
        """The recipe of a dream that is yet to be made, without hashes and versions; see `recipe`."""
        settings = dict(settings)
        objective = settings.pop("objective")
        return Recipe(
            input=abbreviate_home(name),
            model=abbreviate_home(self.model or model.name),
            objective=objective.spec,
            guide=None if self.guide is None else abbreviate_home(self.guide),
            max_size=self.max_size,
            strength=self.strength,
            **settings,
        )


def takes_dream_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each field of `DreamOptions`, in the place of its parameter `options`."""
    fields = dataclasses.fields(DreamOptions)
    signature = inspect.signature(command)

    def with_options(**given: Any) -> None:
        options = DreamOptions(**{field.name: given.pop(field.name) for field in fields})
        command(**given, options=options)

    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in signature.parameters.items()
        if name != "options"
    ] + [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for field in fields
    ]
    functools.update_wrapper(with_options, command)
    vars(with_options).pop("__wrapped__")  # otherwise its signature would be used for this one
    vars(with_options)["__signature__"] = signature.replace(parameters=parameters)
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options
