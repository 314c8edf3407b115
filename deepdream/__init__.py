"""A faithful reproduction of Google's DeepDream of 2015: run a trained classifier backwards to change an image.

    import deepdream as dd

    net = dd.load("bvlc_googlenet")
    dream = dd.deepdream(net, dd.read_image("sky.jpg"))
    dd.write_image("dream.png", dream)

An image is float32 (H, W, 3), RGB, 0..255. The public names by purpose:

Dreaming
    `deepdream`, `dream_steps` (one `Step` at a time), `make_step`, `preprocess`, `deprocess`
Objectives, the quantities to maximise
    `objective_L2`, `channels`, `label`, `guided`; `Objective`, which adds and scales; `Objectives`, one for each of
    several layers
What lights up
    `active_channels`, of an image or a place in it
Networks
    `load`, `Net`, `model_names`, `find_model`, `import_model` (from PyTorch or Keras), `classify`
Images
    `read_image`, `write_image`, `picture` (bundled ones and noise), `resize`,
    `read_mask`, `equirectangular_mask`
Images of labels and channels, from noise
    `label_picture`, `label_steps`, `channel_picture`
Zooms and videos
    `zoom_frames`, `video_frames` (a `Frame` each), `Video`, `write_animation`
What changes meanwhile
    `Schedule`, `read_schedule`
Dreams as data
    `Recipe`
Errors
    `DreamError` and below it `ImageError`, `LayerError`, `ModelError`, `ParameterError`, `VideoError`, `WeightsError`

`deepdream.notebook` shows images in notebooks; `deepdream.playground` is the web page.
"""

from __future__ import annotations

import importlib
import os

from ._version import __version__

TYPE_CHECKING = False  # `typing` would have to be imported, too
if TYPE_CHECKING:
    from typing import Any

    from .channel_activity import ChannelActivity, active_channels
    from .channel_images import channel_picture
    from .classification import classify
    from .data.bundled import picture
    from .dream import Step, deepdream, dream_steps, make_step
    from .errors import DreamError, ImageError, LayerError, ModelError, ParameterError, VideoError, WeightsError
    from .frame import Frame
    from .guide import guided
    from .io.arrays import resize
    from .io.image import read_image, write_image
    from .io.video_reader import Video
    from .io.video_writer import write_animation
    from .label_images import label_picture, label_steps
    from .mask import equirectangular_mask, read_mask
    from .network.net import Net, deprocess, preprocess
    from .objective_sums import Objective, Objectives
    from .objectives import channels, label, objective_L2
    from .recipes.recipe import Recipe
    from .schedule import Schedule, read_schedule
    from .video import video_frames
    from .zoo.importing.importer import import_model
    from .zoo.loading import load
    from .zoo.registry import find_model, model_names
    from .zoom import zoom_frames

__all__ = [
    "ChannelActivity",
    "DreamError",
    "Frame",
    "ImageError",
    "LayerError",
    "ModelError",
    "Net",
    "Objective",
    "Objectives",
    "ParameterError",
    "Recipe",
    "Schedule",
    "Step",
    "Video",
    "VideoError",
    "WeightsError",
    "__version__",
    "active_channels",
    "channel_picture",
    "channels",
    "classify",
    "deepdream",
    "deprocess",
    "dream_steps",
    "equirectangular_mask",
    "find_model",
    "guided",
    "import_model",
    "label",
    "label_picture",
    "label_steps",
    "load",
    "make_step",
    "model_names",
    "objective_L2",
    "picture",
    "preprocess",
    "read_image",
    "read_mask",
    "read_schedule",
    "resize",
    "video_frames",
    "write_animation",
    "write_image",
    "zoom_frames",
]

# Where each name is defined. A name is imported at its first use, because the modules of a dream take half a second to
# load. (No module of this package may have one of these names, because its import would replace the name.)
_HOMES = {
    "DreamError": "errors",
    "Frame": "frame",
    "ImageError": "errors",
    "LayerError": "errors",
    "ModelError": "errors",
    "Net": "network.net",
    "Objective": "objective_sums",
    "Objectives": "objective_sums",
    "ParameterError": "errors",
    "Recipe": "recipes.recipe",
    "Schedule": "schedule",
    "Step": "dream",
    "Video": "io.video_reader",
    "VideoError": "errors",
    "WeightsError": "errors",
    "ChannelActivity": "channel_activity",
    "active_channels": "channel_activity",
    "channel_picture": "channel_images",
    "channels": "objectives",
    "classify": "classification",
    "deepdream": "dream",
    "deprocess": "network.net",
    "dream_steps": "dream",
    "equirectangular_mask": "mask",
    "find_model": "zoo.registry",
    "guided": "guide",
    "import_model": "zoo.importing.importer",
    "label": "objectives",
    "label_picture": "label_images",
    "label_steps": "label_images",
    "load": "zoo.loading",
    "make_step": "dream",
    "model_names": "zoo.registry",
    "objective_L2": "objectives",
    "picture": "data.bundled",
    "preprocess": "network.net",
    "read_image": "io.image",
    "read_mask": "mask",
    "read_schedule": "schedule",
    "resize": "io.arrays",
    "video_frames": "video",
    "write_animation": "io.video_writer",
    "write_image": "io.image",
    "zoom_frames": "zoom",
}

# Caffe logs every network that it builds, unless this is set before it is imported.
os.environ.setdefault("GLOG_minloglevel", "1")


def __getattr__(name: str) -> Any:
    """Import a public name from where it is defined."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .fork_lock import IMPORT_LOCK  # here, because the command must soon be ready for an interruption

    with IMPORT_LOCK:
        value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The names that completion shows: the API, without the modules that define it."""
    return sorted(__all__)
