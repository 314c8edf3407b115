"""What commands that dream frame by frame into a folder have in common: going on with a run, or beginning one."""

from ..zoom import settle
from .screen import say


def run_settings(run, options, net):
    """The settings of a run; what nobody asked for is as it was when the run began."""
    settings = options.settings(net)
    if run.recipe is not None:
        settings["seed"] = run.recipe.seed if options.seed is None else options.seed
        settings["tile"] = run.recipe.tile if settings["tile"] == "auto" else settings["tile"]
    return settings


def begin(run, recipe, net, img, settings):
    """Begin or go on with the run of a complete recipe, and say what is different here.

    What cannot be dreamt is refused before anything is written.

    **Arguments:** `img`: the first frame's picture in full size; `settings`: as from `run_settings`; their tile becomes
    the recipe's.
    """
    settings["tile"] = recipe.tile
    settle(net, recipe.fit(img), **settings)
    run.begin(recipe)
    for difference in run.recipe.differences(recipe):
        say(difference)
