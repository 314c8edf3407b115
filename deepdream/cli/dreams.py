"""Dreams on one or several images, in this process or in others, and writes them.

The central type is `Dreams`: all of them in one command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from .._types import Image
from ..dream import Step, dream_steps
from ..errors import DreamError
from ..io.arrays import fitted_size, format_size
from ..io.background import format_background, parse_background
from ..io.carried_metadata import Metadata
from ..io.image import check_format_size
from ..io.metadata import check_text
from ..io.source import ImageSource, source_of
from ..io.step_film import StepFilm
from ..io.video_writer import rehearse_animation, write_animation
from ..network.net import Net
from ..octaves import octave_shapes
from ..preview import FullSizePreview
from ..recipes.cluster import render_on_cluster
from ..recipes.inputs import FittedMask
from ..recipes.recipe import Recipe
from ..seeds import fresh_seed
from .console import progress_line, say
from .image_output import ImageTarget, WriteOptions
from .inputs import open_input
from .options import DreamOptions
from .parsing import parse_gpu

_Report = Callable[[float, str], None]  # is told the share of a dream that is done, and the state in words


@dataclass(frozen=True)
class Picture:
    """An image that is dreamt on: what is written of it besides its dream.

    Attributes:
        name: the name of the image.
        target: where its dream is written.
        shape: its size, (H, W, 3), in full.
        metadata: what its file says.
        alpha: of the version that is dreamt on; `None`: it is opaque.
    """

    name: str
    target: ImageTarget
    shape: tuple[int, ...]
    metadata: Metadata | None
    alpha: NDArray[np.float32] | None


_Dreamt = tuple[Picture, Image, Recipe]
_Result = tuple[str, Union[_Dreamt, Exception]]  # evaluated, and so without |
_Work = Sequence[tuple[str, ImageTarget]]


class Dreams:
    """The dreams of one command: `preload`, if at all, then `load`, then one of `here` and `on_cluster`, and `write`.

    Args:
        options: how to dream.
        writing: how to write.
        background: the value of `--background`.
    """

    def __init__(self, options: DreamOptions, writing: WriteOptions, background: str | None) -> None:
        self._options, self._writing = options, writing
        self._flattened = background is not None
        self._background = parse_background("white" if background is None else background, "--background")
        self._preloaded: list[ImageSource] = []
        self._dropped: set[str] = set()
        self._weak_terms_told = False

    def preload(self, name: str) -> None:
        """Read the first image."""
        self._preloaded.append(self._read(name))
        self._options.fit_mask(self._preloaded[0])  # raises what is wrong with it

    def load(self) -> None:
        """Load the network."""
        self._net, self._model = self._options.load()
        self._settings = self._options.settings(self._net)

    def here(self, work: _Work, animate: Path | None = None) -> Iterator[_Result]:
        """Dream in this process, with a progress line over all images.

        Args:
            work: names and targets.
            animate: where to write the steps of the only dream as a video; `None`: nowhere.

        Yields:
            (name, what `write` takes, or an exception).
        """
        total = len(work)
        with progress_line() as progress:
            task = progress.add_task("", total=total)
            for number, (name, target) in enumerate(work):
                prefix = "" if total == 1 else f"{number + 1}/{total} {name}: "

                def report(share: float, text: str, number: int = number, prefix: str = prefix) -> None:
                    progress.update(task, completed=number + share, description=prefix + text)

                try:
                    result: _Dreamt | Exception = self._dream_here(name, target, animate, report)
                except (DreamError, MemoryError, OSError) as error:
                    result = error
                yield name, result
                progress.update(task, completed=number + 1)

    def on_cluster(self, work: _Work, workers: int | None, scheduler: str | None) -> Iterator[_Result]:
        """As `here`, in the processes of a cluster, in the order in which they are done."""
        unread: list[_Result] = []

        def jobs() -> Iterator[tuple[Picture, Recipe, ImageSource, list[Image] | None, FittedMask | None]]:
            for name, target in work:
                try:
                    full = self._preloaded.pop() if self._preloaded else self._read(name)
                    picture = self._picture(name, target, full)
                    mask = self._options.fit_mask(full)
                    small = full.reduced(self._options.max_size)
                    settings = self._settings_of_one()
                    self._tell_weak_terms(small, settings)
                except (DreamError, MemoryError, OSError) as error:
                    unread.append((name, error))
                else:
                    recipe = self._with_background(self._options.plan(name, self._model, settings))
                    yield picture, recipe, small, self._options.guide_images or None, mask

        with progress_line() as progress:
            task = progress.add_task("", total=len(work))
            gpu = parse_gpu(self._options.gpu)
            for done, (picture, result) in enumerate(render_on_cluster(jobs(), scheduler, workers, gpu)):
                if isinstance(result, Exception):  # of any class, such as that of a worker that was killed
                    failure = result if isinstance(result, DreamError) else DreamError(f"the worker failed: {result}")
                    yield picture.name, failure
                else:
                    yield picture.name, (picture, *result)
                progress.update(task, completed=done + 1, description=f"{done + 1}/{len(work)}")
        yield from unread

    def write(self, picture: Picture, result: Image, recipe: Recipe) -> None:
        """Write a dream, and say how it was made."""
        self._writing.write(picture.target, result, recipe, picture.metadata, picture.alpha)
        sizes = f"{format_size(picture.shape)} to {format_size(result.shape)}"
        scaled = f", scaled from {sizes}" if result.shape != picture.shape else ""
        say(f"{picture.name} dreamt at {self._options.target_description(self._net)}, seed {recipe.seed}{scaled}")

    def _read(self, name: str) -> ImageSource:
        return open_input(name, self._options.max_size, self._background)

    def _picture(self, name: str, target: ImageTarget, full: ImageSource) -> Picture:
        """An image that was read, checked."""
        max_size = self._options.max_size
        check_format_size(target.name, target.format, *fitted_size(*full.shape[:2], max_size))
        metadata = self._writing.kept(name, full.metadata, self._dropped)
        alpha = None if self._flattened else full.alpha(max_size)
        return Picture(name, target, full.shape, metadata, alpha)

    def _settings_of_one(self) -> dict[str, Any]:
        """The settings of one image: each has a seed of its own, unless one was given."""
        return {**self._settings, "seed": fresh_seed() if self._options.seed is None else self._options.seed}

    def _tell_weak_terms(self, img: Image | ImageSource, settings: Mapping[str, Any]) -> None:
        """Say which terms of a sum change nothing, as measured on the first image."""
        if not self._weak_terms_told and self._options.objectives.count > 1:
            img = source_of(img).fit(self._options.max_size)
            self._options.objectives.tell_weak_terms(self._net, img, settings)
        self._weak_terms_told = True

    def _with_background(self, recipe: Recipe) -> Recipe:
        return replace(recipe, more={"background": format_background(self._background)}) if self._flattened else recipe

    def _dream_here(self, name: str, target: ImageTarget, animate: Path | None, report: _Report) -> _Dreamt:
        full = self._preloaded.pop() if self._preloaded else self._read(name)
        picture = self._picture(name, target, full)
        settings, mask = self._settings_of_one(), self._options.fit_mask(full)
        recipe = self._with_background(self._options.recipe(name, self._model, self._net, full, settings, mask))
        check_text(recipe.to_json())
        img = recipe.fit(full)
        del full  # frees its memory for the dream
        settings |= {"tile": recipe.tile or settings["tile"], "mask": None if mask is None else mask.values}
        self._tell_weak_terms(img, settings)
        make = _dream if animate is None else partial(_dream_and_animate, animate)
        return picture, recipe.blend(img, make(self._net, img, settings, report)), recipe


def _dream_and_animate(video: Path, net: Net, img: Image, settings: dict[str, Any], report: _Report) -> Image:
    """As `_dream`; also write the steps as a video."""
    height, width = img.shape[:2]
    steps_n = settings["octave_n"] * settings["iter_n"]
    rehearse_animation(video, (height, width), steps_n)
    shapes = octave_shapes(height, width, settings["octave_n"], settings["octave_scale"])
    preview = FullSizePreview(img, shapes, settings["mask"], settings["wrap"])
    with StepFilm() as steps:
        steps.check_room(steps_n, img.shape)
        result = _dream(net, img, settings, report, lambda step: steps.add(preview.of(step.image, step.octave)))
        write_animation(video, steps)
    return result


def _dream(
    net: Net,
    img: Image,
    settings: dict[str, Any],
    report: _Report,
    on_step: Callable[[Step], None] | None = None,
) -> Image:
    """Dream on an image, float32 (H, W, 3); the settings are the arguments of `dream_steps`."""
    height, width = img.shape[:2]
    iter_n, octave_n = settings["iter_n"], settings["octave_n"]
    # The work of a step is estimated as its octave's number of pixels.
    areas = [h * w for h, w in octave_shapes(height, width, octave_n, settings["octave_scale"])]
    work, worked = sum(areas) * iter_n, 0
    report(0, _describe_step(0, octave_n, 0, iter_n))
    for step in dream_steps(net, img, **settings):
        if on_step is not None:
            on_step(step)
        worked += areas[step.octave]
        report(worked / work, _describe_step(step.octave, octave_n, step.iteration, iter_n))
    return step.image


def _describe_step(octave: int, octave_n: int, iteration: int, iter_n: int) -> str:
    return f"octave {octave + 1}/{octave_n}, iteration {iteration + 1}/{iter_n}"
