"""Recipes made into pictures.

The central type is a maker, one for each kind of recipe: a function of the complete recipe, the network, the input
(scaled), the guide or `None`, and what to call with the share that is done. It returns the picture.
"""

import itertools
import logging
from dataclasses import replace

import caffe
import numpy as np
import PIL
import scipy

from .checks import check_count, shown
from .dream import check_net, dream_steps, octave_shapes
from .ends import resolve_end
from .errors import ParameterError
from .fetch import sha256_of
from .image import check_image, resize
from .labels import check_blur, label_steps
from .pictures import picture_sha256
from .specs import objective_from_spec
from .tiles import plan
from .zoom import check_move, zoom_frames

log = logging.getLogger(__name__)


def make(recipe, image=None, guide=None, net=None, beside=None, progress=None, gpu=None):
    """(picture, complete recipe); the arguments are those of `Recipe.make`."""
    if recipe.kind not in KINDS:
        raise ParameterError(f"a recipe of the kind {shown(recipe.kind)} cannot be made again; this deepdream knows "
                             f"{', '.join(KINDS)}")
    image, guide = recipe.pictures(image, guide, beside)
    net = recipe.load(gpu) if net is None else net
    check_net(net)
    done = complete(recipe, net, image, guide)
    for difference in recipe.differences(done):
        log.warning("%s", difference)
    try:
        return KINDS[recipe.kind](done, net, done.fit(image), guide, progress or (lambda share: None)), done
    except KeyError as error:
        raise ParameterError(f"a recipe of the kind {recipe.kind!r} needs {error.args[0]!r} in its more") from None


def check_more(recipe):
    """Refuse what a recipe's `more` cannot hold; what it lacks is only missed when the picture is made.

    **Raises:** `ParameterError`.
    """
    more = recipe.more
    if more.get("guide_max_size") is not None:
        check_count("guide_max_size", more["guide_max_size"], 1, "the longer side of the guide in pixels")
    if recipe.kind == "stopped dream":
        for name, count in (("octave", recipe.octave_n), ("iteration", recipe.iter_n)):
            if name in more:
                check_count(name, more[name], 0, f"the {name} that the dream was stopped in", max(count, 1) - 1)
    elif recipe.kind == "zoom":
        if "frame" in more:
            check_count("frame", more["frame"], 0, "the frame's number")
        check_move(more.get("scale", 0), more.get("rotate", 0))
    elif recipe.kind == "label" and "blur" in more:
        check_blur(more["blur"])


def complete(recipe, net, image, guide=None):
    """The recipe with what decides the pixels filled in; see `Recipe.complete`."""
    image = check_image(image)
    # A guided objective takes a pass through the network, and stands where the recipe says or at the network's end.
    objective = None if guide is not None else objective_from_spec(net, recipe.objective, recipe.end)
    end = resolve_end(net, recipe.end, objective)
    tile = recipe.tile
    if tile is not None:
        shapes = octave_shapes(*recipe.fit(image).shape[:2], recipe.octave_n, recipe.octave_scale)
        tile = plan(net, end, shapes, tile)
    return replace(recipe, end=end, tile=tile, input_sha256=picture_sha256(image), versions=versions(net),
                   guide_sha256=None if guide is None else picture_sha256(check_image(guide)),
                   weights_sha256=None if net.weights is None else sha256_of(net.weights))


def versions(net):
    """What computes a dream here: {name: version}."""
    from . import __version__

    return {"deepdream": __version__, "caffe": caffe.__version__, "kind of layers": "fast" if net.fast else "upstream",
            "device": "CPU" if net.gpu is None else "GPU",
            "numpy": np.__version__, "scipy": scipy.__version__, "pillow": PIL.__version__}


def _dream(recipe, net, image, guide, progress):
    areas = [h * w for h, w in octave_shapes(*image.shape[:2], recipe.octave_n, recipe.octave_scale)]
    work, worked = sum(areas) * recipe.iter_n, 0
    for step in dream_steps(net, image, **recipe.settings(net, guide)):
        worked += areas[step.octave]
        progress(worked / work)
    return recipe.blend(image, step.image)


def _stopped(recipe, net, image, guide, progress):
    """A dream that was stopped after a step: what there was by then, at full size."""
    count = recipe.more["octave"] * recipe.iter_n + recipe.more["iteration"] + 1
    steps = itertools.islice(dream_steps(net, image, **recipe.settings(net, guide)), count)
    for number, step in enumerate(steps):
        progress((number + 1) / count)
        dreamt = step.image
    return recipe.blend(image, so_far(image, dreamt))


def so_far(image, dreamt):
    """A dream at full size before its last octave: what an octave added, enlarged, on the picture it was dreamt on.

    **Arguments:** `image`: float32 (H, W, 3); `dreamt`: float32 (h, w, 3), the octave's picture.
    """
    if dreamt.shape == image.shape:
        return dreamt
    return image + resize(dreamt - resize(image, *dreamt.shape[:2]), *image.shape[:2])


def _zoom(recipe, net, image, guide, progress):
    """One frame of a zoom, which needs all before it."""
    count = recipe.more["frame"] + 1
    for frame in zoom_frames(net, image, count, recipe.more["scale"], recipe.more["rotate"], recipe.strength,
                             **recipe.settings(net, guide)):
        progress((frame.index + 1) / count)
    return frame.image


def _label(recipe, net, image, guide, progress):
    """The picture of a label, out of noise; of the input only the size is used."""
    label, more = recipe.objective, recipe.more
    settings = {name: getattr(recipe, name) for name in ("seed", "iter_n", "octave_n", "octave_scale", "step_size",
                                                         "jitter")}
    steps = label_steps(net, label["index"] if "index" in label else label["label"], image.shape[:2], **settings,
                        blur=more["blur"])
    for step in steps:
        progress((step.octave * recipe.iter_n + step.iteration + 1) / (recipe.octave_n * recipe.iter_n))
    return step.image


KINDS = {"dream": _dream, "label": _label, "stopped dream": _stopped, "zoom": _zoom}
