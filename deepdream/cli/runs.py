"""Begins or continues a run of many frames in a folder, for `zoom` and `video`."""

from __future__ import annotations

from typing import Any

from .._types import Image
from ..frame import fix_settings
from ..network.net import Net
from ..recipes.inputs import FittedMask
from ..recipes.recipe import Recipe
from ..recipes.runs import FrameFolder
from .console import say
from .options import DreamOptions


def run_settings(run: FrameFolder, options: DreamOptions, net: Net, mask: FittedMask | None = None) -> dict[str, Any]:
    """The settings of a run; a seed or tile that was not given is the one that the run began with.

    Args:
        run: the folder.
        options: the options of the command.
        net: the network.
        mask: the mask of every frame.

    Returns:
        The keyword arguments of `dream_steps`.
    """
    settings = {**options.settings(net), "mask": None if mask is None else mask.values}
    if run.recipe is not None:
        settings["seed"] = run.recipe.seed if options.seed is None else options.seed
        settings["tile"] = run.recipe.tile if settings["tile"] == "auto" else settings["tile"]
    return settings


def begin_run(run: FrameFolder, recipe: Recipe, net: Net, img: Image, settings: dict[str, Any], frame_n: int) -> None:
    """Begin a run or continue it, and print the differences from the recipe that it began with.

    Args:
        run: the folder; nothing is written into it before everything else is checked.
        recipe: a complete one.
        net: the network.
        img: the image of the first frame, (H, W, 3), in full size or as the recipe scales it.
        settings: from `run_settings`; their tile becomes the recipe's.
        frame_n: the number of frames of the whole run.

    Raises:
        DreamError: the settings cannot be dreamt, the folder holds a run of another recipe, or the disk has no room for
            the frames.
    """
    settings["tile"] = recipe.tile
    fitted = recipe.fit(img)
    fix_settings(net, fitted, **{name: value for name, value in settings.items() if name != "schedule"})
    run.check_room(frame_n, fitted)
    run.begin(recipe)
    assert run.recipe is not None
    for difference in run.recipe.differences(recipe):
        say(difference)
