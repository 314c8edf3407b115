"""The options that every command that dreams has, and what they mean for the library.

The central type is `DreamOptions`. A command takes one as its parameter `options`, and `takes_dream_options` turns
that into the options on the command line:

    @takes_dream_options
    def dream(images: …, options: DreamOptions): …
"""

import dataclasses
import functools
import inspect
import math
from dataclasses import dataclass
from typing import Optional

import typer

from .. import models, pictures
from ..checks import MOST_JITTER, MOST_STEP, is_number, short, shown, whole
from ..device import AUTO, choose_device
from ..dream import deepdream, fresh_seed, resolve_end
from ..ends import MOST_WEIGHT, is_weight
from ..errors import ParameterError, WeightsError
from ..guide import guided
from ..image import check_image
from ..objectives import channels, label
from ..recipe import Recipe, short_name
from ..tiles import SMALLEST_TILE
from .files import check_there
from .screen import say

FIRST, FALLBACK = "bvlc_googlenet", "squeezenet_v1.1"
MOST_GPU = 2**31 - 1  # CUDA counts in an int
# The library's signature is the only home of a default.
DEFAULT = {name: parameter.default for name, parameter in inspect.signature(deepdream).parameters.items()}

IMAGE_HELP = f"Files, noise:WxH, or built-in: {', '.join(pictures.BUILT_IN)}."
MODEL = typer.Option(None, "--model", metavar="NAME|DIR", show_default=False,
                     help=f"The network. [default: {FIRST}, or {FALLBACK} where that cannot be had]")
END = typer.Option(None, "--end", metavar="LAYER[=WEIGHT]", show_default=False,
                   help="The layer to dream; `deepdream layers` lists them. Several at once: repeat it. "
                        "[default: the model's]")
CHANNEL = typer.Option(None, "--channel", metavar="N", show_default=False,
                       help="More of this channel of the layer; several: repeat it.")

GPU = typer.Option(AUTO, "--gpu", metavar="N|auto|none",
                   help="The GPU to compute on; auto: the first that works, else the CPU; none: the CPU.")


@dataclass(frozen=True)
class DreamOptions:
    """How to dream, as asked for on the command line. Numbers are checked when it is made, before anything is fetched.

    Each field is an option: its type is the option's, its default says how it is spelled.
    """

    model: Optional[str] = MODEL
    end: Optional[list[str]] = END
    guide: Optional[str] = typer.Option(None, "--guide", metavar="IMAGE", show_default=False,
                                        help="A picture to take the layer's features from.")
    channel: Optional[list[int]] = CHANNEL
    label: Optional[str] = typer.Option(None, "--label", metavar="NAME", show_default=False,
                                        help="More of what the classifier calls so: banana, \"sea star\", or a number.")
    iters: int = typer.Option(DEFAULT["iter_n"], "--iters", help="Steps per octave.")
    octaves: int = typer.Option(DEFAULT["octave_n"], "--octaves", help="How many sizes to dream at.")
    octave_scale: float = typer.Option(DEFAULT["octave_scale"], "--octave-scale", help="From one size to the next.")
    step: float = typer.Option(DEFAULT["step_size"], "--step", help="Mean change of a value in one step, of 255.")
    jitter: int = typer.Option(DEFAULT["jitter"], "--jitter", help="Largest random shift in pixels.")
    clip: bool = typer.Option(DEFAULT["clip"], "--clip/--no-clip", help="Keep the values within 0..255.")
    seed: Optional[int] = typer.Option(None, "--seed", show_default=False,
                                       help="Of the random shifts; the same seed gives the same picture.")
    # "auto" rather than the library's None: it changes nothing for a picture that fits, and one that does not is
    # better dreamt in tiles than refused.
    tile: str = typer.Option("auto", "--tile", metavar="N|auto|none",
                             help="Dream in tiles of N pixels: less memory for large pictures. auto: if need be.")
    gpu: str = GPU
    max_size: Optional[int] = typer.Option(None, "--max-size", metavar="PIXELS", show_default=False,
                                           help="Scale a larger picture down to this longer side.")
    strength: float = typer.Option(1.0, "--strength", help="Blend with the original: 0 the original, 1 the dream.")

    def __post_init__(self):
        check_range("--iters", self.iters, 1)
        check_range("--octaves", self.octaves, 1)
        check_range("--octave-scale", self.octave_scale, 1)
        check_range("--step", self.step, -MOST_STEP, MOST_STEP)
        check_range("--jitter", self.jitter, 0, MOST_JITTER)
        check_range("--strength", self.strength, 0, 1)
        check_range("--seed", self.seed, 0, 2**32 - 1)
        check_range("--max-size", self.max_size, 1)
        _tile(self.tile)
        gpu_of(self.gpu)
        _ends(self.end)
        given = [option for option in ("guide", "channel", "label") if getattr(self, option) not in (None, [], ())]
        if len(given) > 1:
            raise ParameterError(f"--{given[0]} and --{given[1]}: a dream has one objective; choose one of them")
        if self.label is not None and self.end:
            raise ParameterError("--label and --end: a label is raised at the classifier's own layer; leave --end out")
        if self.channel:
            channels(self.channel)
        if self.guide is not None:
            check_there(self.guide)

    def load(self):
        """The network: (net, model), with the layers that were asked for, which know the objective."""
        if self.guide not in (None, *pictures.BUILT_IN):
            _ = self.lead  # a damaged file is found before any weights are fetched
        net, model = load_model(self.model, self.end or self.channel, gpu_of(self.gpu))
        resolve_end(net, _ends(self.end), None if self.guide else self.objective(net))
        return net, model

    def settings(self, net):
        """The keyword arguments of `dream_steps`, the layers, the objective and the seed resolved."""
        objective = self.objective(net)
        return {"iter_n": self.iters, "octave_n": self.octaves, "octave_scale": self.octave_scale,
                "end": resolve_end(net, _ends(self.end), objective), "objective": objective, "clip": self.clip,
                "step_size": self.step, "jitter": self.jitter, "seed": fresh_seed() if self.seed is None else self.seed,
                "tile": _tile(self.tile)}

    def objective(self, net):
        """What to raise."""
        if self.label is not None:
            return label(net, self.label)
        if self.channel:
            return channels(self.channel)
        if self.guide is not None:
            return guided(net, self.lead, resolve_end(net, _ends(self.end), None))
        return DEFAULT["objective"]

    @functools.cached_property
    def lead(self):
        """The guide as an array; `None` if there is none."""
        return None if self.guide is None else check_image(pictures.picture(self.guide))

    def aim(self, settings):
        """What is dreamt, for a person: the layers, and what of them."""
        layers = settings["end"]
        if not isinstance(layers, str):
            layers = ", ".join(f"{layer}={weight:g}" for layer, weight in layers.items())
        if self.label is not None:
            return f"{layers}: {settings['objective'].spec['label']}"
        if self.channel:
            return f"{layers}, channel {', '.join(map(str, settings['objective'].spec['indices']))}"
        return f"{layers}, guided by {self.guide}" if self.guide is not None else layers

    def recipe(self, name, model, net, img, settings):
        """What a picture is made from and how, complete: what is written into its file.

        **Arguments:** `name`: the input's; `model`, `net`: as from `load`; `img`: the input in full size; `settings`:
        the keyword arguments of `dream_steps`.
        """
        settings = dict(settings)
        objective = settings.pop("objective")
        return Recipe(input=short_name(name), model=short_name(self.model or model.name), objective=objective.spec,
                      guide=None if self.guide is None else short_name(self.guide), max_size=self.max_size,
                      strength=self.strength, **settings).complete(net, img, self.lead)


def takes_dream_options(command):
    """A command whose parameter `options`, a `DreamOptions`, is given on the command line field by field."""
    fields = dataclasses.fields(DreamOptions)
    signature = inspect.signature(command)

    @functools.wraps(command)
    def with_options(**given):
        options = DreamOptions(**{field.name: given.pop(field.name) for field in fields})
        return command(**given, options=options)

    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for name, parameter in signature.parameters.items()
           if name != "options"]
    with_options.__signature__ = signature.replace(parameters=own + [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for field in fields])
    with_options.__annotations__ = {**{parameter.name: parameter.annotation for parameter in own},
                                    **{field.name: field.type for field in fields}}
    del with_options.__wrapped__  # or its signature would be taken for this one's
    return with_options


def load_model(name, end=None, gpu=None):
    """(net, model). Only where neither a model nor a layer was asked for may another model stand in."""
    if gpu != AUTO:
        choose_device(gpu)  # what cannot be is said before anything is fetched
    if name is None and end is None:
        try:
            models.weights_path(models.find_model(FIRST))
        except WeightsError as error:
            say(f"Using {FALLBACK}: {error}")
            name = FALLBACK
    name = name or FIRST
    return models.load(name, gpu=gpu), models.find_model(name)


def check_range(option, value, lowest=-math.inf, highest=math.inf):
    """Refuse a number before anything is fetched. The library checks too, but does not know the option's name."""
    if value is None or (is_number(value) and lowest <= value <= highest):
        return
    limit = f"from {lowest} to {highest}" if highest < math.inf else f"{lowest} or more"
    finite = [] if is_number(value) else ["a finite number"]
    raise ParameterError(f"{option} {shown(value)}: must be {', '.join(finite + [limit] * (lowest > -math.inf))}")


def _ends(given):
    """The library's `end` for the command's, each LAYER or LAYER=WEIGHT; `None` for none."""
    ends = {}
    for text in given or ():
        layer, equals, weight = text.partition("=")
        try:
            number = float(weight) if equals else 1.0
        except ValueError:
            number = math.nan
        if not is_weight(number):
            raise ParameterError(f"--end {short(text)}: the weight must be a number other than 0, from "
                                 f"{-MOST_WEIGHT:.2g} to {MOST_WEIGHT:.2g}, as in --end {short(layer)}=0.5")
        if layer in ends:
            raise ParameterError(f"--end {short(layer)} is given twice; once is enough, with a weight if you like")
        ends[layer] = number
    return layer if list(ends.values()) == [1.0] else ends or None


def _tile(text):
    """The library's `tile` for the command's."""
    if text in ("auto", "none"):
        return None if text == "none" else text
    pixels = whole(text)
    if pixels is None or pixels < SMALLEST_TILE:
        raise ParameterError(f"--tile {short(text)}: must be auto, none, or a whole number of pixels, {SMALLEST_TILE} "
                             "or more")
    return pixels


def gpu_of(text):
    """The library's `gpu` for the command's."""
    if text in (AUTO, "none"):
        return None if text == "none" else text
    number = whole(text)
    if number is None or number > MOST_GPU:
        raise ParameterError(f"--gpu {short(text)}: must be auto, none, or the number of a GPU, from 0 to {MOST_GPU}")
    return number
