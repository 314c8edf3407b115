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
from pathlib import Path
from typing import Any, Optional

import typer

from .._types import Image
from ..data.bundled import open_picture
from ..defaults import defaults_of
from ..dream import deepdream
from ..errors import ParameterError
from ..io.arrays import image_sha256
from ..io.source import ImageSource
from ..mask import MAX_FEATHER
from ..network.net import Net
from ..recipes.inputs import COMPUTED_MASKS, FittedMask, abbreviate_home
from ..recipes.recipe import Recipe
from ..recipes.scheduled import scheduled_settings
from ..schedule import Schedule, read_schedule
from ..seeds import fresh_seed
from ..validation import MAX_JITTER, MAX_SEED, MAX_STEP_SIZE
from ..zoo.registry import Model
from .files import check_image_exists, naming
from .loading import GPU, MODEL, load_model
from .objective_options import ObjectiveOptions, read_guides
from .parsing import check_range, check_wrap_option, parse_gpu, parse_layers, parse_tile

_DEFAULT = defaults_of(deepdream)
_END = typer.Option(
    None,
    "--end",
    metavar="LAYER[=WEIGHT]",
    show_default=False,
    help="Layer to dream; `deepdream layers` lists them. Repeatable. [default: the model's]",
)
_GUIDE = typer.Option(
    None,
    "--guide",
    metavar="IMAGE[=WEIGHT]",
    show_default=False,
    help="Guide image: dream the features of this image. Repeatable.",
)
WRAP = typer.Option(
    None,
    "--wrap",
    metavar="x|xy",
    show_default=False,
    help="Let opposite edges join. x: left and right, as in a 360° panorama. xy: all four, as in a texture.",
)
_SCHEDULE = typer.Option(
    None,
    "--schedule",
    metavar="FILE",
    show_default=False,
    help="Change settings over the frames, or over the octaves of one dream (TOML).",
)
_CHANNEL = typer.Option(
    None,
    "--channel",
    metavar="N[=WEIGHT]",
    show_default=False,
    help="Maximise this channel of the layer; with a weight below 0, minimise it. Repeatable.",
)
_LABEL = typer.Option(
    None,
    "--label",
    metavar="NAME[=WEIGHT]",
    show_default=False,
    help='Maximise this label of the classifier: banana, "sea star", or a number. Repeatable.',
)


@dataclass(frozen=True)
class DreamOptions:
    """How to dream, as set by the options of the command line.

    The annotation of a field is the option's type; its default is the option's name, help and default. All numbers are
    checked when the options are made, before anything is fetched.

    Attributes:
        model: a model's name or folder; `None`: the default.
        end: LAYER or LAYER=WEIGHT each; `None`: the objective's or the model's own layer.
        guide: IMAGE or IMAGE=WEIGHT each, the names of guide images.
        channel: N or N=WEIGHT each, the channels to maximise.
        label: NAME or NAME=WEIGHT each, the labels to maximise, or their numbers.
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
        mask: the name of the mask image, or one of `COMPUTED_MASKS`; `None`: all of the image is dreamt.
        mask_feather: the width of the mask's edges, in pixels.
        mask_invert: whether black is dreamt instead of white.
        wrap: "x" if the left and right edges join, "xy" if top and bottom join, too; `None`: none do.
        schedule: the path of a schedule; `None`: nothing changes.

    Raises:
        ParameterError: an option out of its range, or options that exclude each other.
        ImageError: there is no such guide.
    """

    model: Optional[str] = MODEL
    end: Optional[list[str]] = _END
    guide: Optional[list[str]] = _GUIDE
    channel: Optional[list[str]] = _CHANNEL
    label: Optional[list[str]] = _LABEL
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
    mask: Optional[str] = typer.Option(
        None,
        "--mask",
        metavar="IMAGE|alpha|equirectangular",
        show_default=False,
        help="Dream only where this image is white; black stays as it is. alpha: only where the image is opaque. "
        "equirectangular: less towards the poles of a 360° panorama.",
    )
    mask_feather: float = typer.Option(
        0.0, "--mask-feather", metavar="PIXELS", help="Width over which the dream fades inside the mask's edges."
    )
    mask_invert: bool = typer.Option(False, "--mask-invert", help="Dream where the mask is black instead.")
    wrap: Optional[str] = WRAP
    schedule: Optional[Path] = _SCHEDULE

    def __post_init__(self) -> None:
        check_range("--iters", self.iters, 1)
        check_range("--octaves", self.octaves, 1)
        check_range("--octave-scale", self.octave_scale, 1)
        check_range("--step", self.step, -MAX_STEP_SIZE, MAX_STEP_SIZE)
        check_range("--jitter", self.jitter, 0, MAX_JITTER)
        check_range("--strength", self.strength, 0, 1)
        check_range("--seed", self.seed, 0, MAX_SEED)
        check_range("--max-size", self.max_size, 1)
        parse_tile(self.tile)
        parse_gpu(self.gpu)
        _ = self.objectives  # checks them
        check_range("--mask-feather", self.mask_feather, 0, MAX_FEATHER)
        check_wrap_option(self.wrap)
        if self.keyframes is not None and self.keyframes.sets_objective:
            given = [name for name in ("end", "guide", "channel", "label") if getattr(self, name)]
            if given:
                raise ParameterError(
                    f"--{given[0]} and --schedule {self.schedule}: both say what is maximised; leave one of them out"
                )
        if self.mask is None and (self.mask_feather or self.mask_invert):
            raise ParameterError("--mask-feather and --mask-invert change a mask; give one, as in --mask mask.png")
        if self.mask not in (None, *COMPUTED_MASKS):
            check_image_exists(self.mask, "--mask")

    @functools.cached_property
    def objectives(self) -> ObjectiveOptions:
        """What to maximise."""
        return ObjectiveOptions(self.end, self.guide, self.channel, self.label)

    @functools.cached_property
    def keyframes(self) -> Optional[Schedule]:
        """The schedule; `None` if there is none."""
        if self.schedule is None:
            return None
        with naming("--schedule"):
            return read_schedule(self.schedule)

    @functools.cached_property
    def guide_names(self) -> list[str]:
        """The names of the guides, of the schedule's if it has any."""
        return [name for name, _ in self.objectives.guides] or (self.keyframes.guides if self.keyframes else [])

    @functools.cached_property
    def guide_images(self) -> list[Image]:
        """The guides, float32 (H, W, 3) RGB."""
        return self.objectives.images or read_guides(self.guide_names, f"--schedule {self.schedule}: guide")

    def check_unit(self, unit: str) -> None:
        """Raise `ParameterError` unless the keyframes of the schedule, if there is one, are of this unit."""
        if self.keyframes is not None and self.keyframes.unit != unit:
            raise ParameterError(
                f"--schedule {self.schedule}: its keyframes have {self.keyframes.unit}s, and here they need {unit}s, "
                f"as in {unit} = 0"
            )
        if self.keyframes is not None:
            with naming(f"--schedule {self.schedule}:"):
                self.keyframes.check_octaves(self.octaves)

    def load(self) -> tuple[Net, Model]:
        """Load the network.

        Returns:
            (network, model).

        Raises:
            DreamError: the guide, the model or the weights cannot be read, or the layers do not fit.
        """
        self.objectives.read_files()
        _ = self.guide_images if self.keyframes is not None else None
        scheduled = list(self.keyframes.layers()) if self.keyframes is not None else None
        net, model = load_model(self.model, self.end or self.channel or scheduled or None, parse_gpu(self.gpu))
        self.objectives.check(net)
        return net, model

    def settings(self, net: Net) -> dict[str, Any]:
        """The keyword arguments of `dream_steps`, with the layers, the objective and the seed filled in."""
        objective = self.objectives.objective(net)
        return {
            "iter_n": self.iters,
            "octave_n": self.octaves,
            "octave_scale": self.octave_scale,
            "end": self.objectives.end(net, objective),
            "objective": objective,
            "clip": self.clip,
            "step_size": self.step,
            "jitter": self.jitter,
            "seed": fresh_seed() if self.seed is None else self.seed,
            "tile": parse_tile(self.tile),
            "wrap": self.wrap,
            **self._scheduled(net),
        }

    def _scheduled(self, net: Net) -> dict[str, Any]:
        if self.keyframes is None:
            return {}
        end = parse_layers(self.end)
        with naming(f"--schedule {self.schedule}:"):
            return {"schedule": scheduled_settings(net, self.keyframes, self.guide_images, end)}

    @property
    def files(self) -> list[str]:
        """The names of the images that are read beside the input."""
        masks = [] if self.mask in (None, *COMPUTED_MASKS) else [self.mask]
        return [*self.guide_names, *masks, *([] if self.schedule is None else [str(self.schedule)])]

    def fit_mask(self, img: "Image | ImageSource") -> Optional[FittedMask]:
        """The mask at the size that is dreamt on; `None`: there is none.

        Args:
            img: the input in full size.
        """
        recipe = Recipe(
            max_size=self.max_size,
            mask=self.mask,
            mask_feather=self.mask_feather,
            mask_invert=self.mask_invert,
            wrap=self.wrap,
        )
        if self.mask in (None, *COMPUTED_MASKS):
            return recipe.fit_mask(img)
        with naming("--mask"):
            source = open_picture(self.mask)
        return recipe.fit_mask(img, source)

    def target_description(self, net: Net) -> str:
        """The layers of a dream and its objective there, and where and when it is another one, for a person."""
        is_scheduled = self.keyframes is not None and self.keyframes.sets_objective
        parts = [
            f"what {self.schedule} says" if is_scheduled else self.objectives.describe(net),
            f"schedule {self.schedule}" if self.keyframes is not None and not is_scheduled else "",
            f"mask {self.mask}{' inverted' if self.mask_invert else ''}" if self.mask is not None else "",
            f"wrap {self.wrap}" if self.wrap is not None else "",
        ]
        return "; ".join(filter(None, parts))

    def recipe(
        self,
        name: str,
        model: Model,
        net: Net,
        img: "Image | ImageSource",
        settings: dict[str, Any],
        mask: Optional[FittedMask] = None,
    ) -> Recipe:
        """The complete recipe of a dream, which is written into its file.

        Args:
            name: the name of the input.
            model: from `load`.
            net: from `load`.
            img: the input in full size, (H, W, 3), or an `ImageSource` of it.
            settings: the keyword arguments of `dream_steps`.
            mask: from `fit_mask`.
        """
        return self.plan(name, model, settings).complete(net, img, self.guide_images, mask)

    def plan(self, name: str, model: Model, settings: dict[str, Any]) -> Recipe:
        """The recipe of a dream that is yet to be made, without hashes and versions; see `recipe`."""
        settings = dict(settings)
        settings.pop("mask", None)
        settings.pop("schedule", None)
        objective = settings.pop("objective")
        return Recipe(
            input=abbreviate_home(name),
            model=abbreviate_home(self.model or model.name),
            objective=objective.spec,
            guide=[abbreviate_home(name) for name in self.guide_names],
            guide_sha256=[image_sha256(guide) for guide in self.guide_images],
            schedule=None if self.keyframes is None else self.keyframes.spec,
            max_size=self.max_size,
            strength=self.strength,
            mask=None if self.mask is None else abbreviate_home(self.mask),
            mask_feather=self.mask_feather,
            mask_invert=self.mask_invert,
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
