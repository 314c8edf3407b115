"""A faithful reproduction of Google's DeepDream of 2015: run a trained classifier backwards to change an image.

    import deepdream as dd

    net = dd.load("bvlc_googlenet")
    dream = dd.deepdream(net, dd.read_image("sky.jpg"))
    dd.write_image("dream.png", dream)

An image is float32 (H, W, 3), RGB, 0..255. The names, by what they are for:

Dreaming
    `deepdream`, `dream_steps` (one `Step` at a time), `make_step`, `preprocess`, `deprocess`
What to raise
    `objective_L2`, `channels`, `label`, `guided`; `Objectives`, one for each of several layers
Networks
    `load`, `Net`, `model_names`, `find_model`, `classify`
Images
    `read_image`, `write_image`, `picture` (bundled ones and noise), `resize`
Labels out of noise
    `label_picture`, `label_steps`
Zooms and videos
    `zoom_frames`, `video_frames` (a `Frame` each), `Video`, `write_animation`
Dreams as data
    `Recipe`
Errors
    `DreamError` and below it `ImageError`, `LayerError`, `ModelError`, `ParameterError`, `VideoError`, `WeightsError`

`deepdream.notebook` shows images in notebooks, `deepdream.playground` is the page.
"""

from ._version import __version__
from .classify import classify
from .data.bundled import picture
from .dream import Step, deepdream, dream_steps, make_step
from .errors import DreamError, ImageError, LayerError, ModelError, ParameterError, VideoError, WeightsError
from .frame import Frame
from .guided import guided
from .io.arrays import resize
from .io.image import read_image, write_image
from .io.video_reader import Video
from .io.video_writer import write_animation
from .label_images import label_picture, label_steps
from .network.net import Net, deprocess, preprocess
from .objectives import Objectives, channels, label, objective_L2
from .recipes.recipe import Recipe
from .video import video_frames
from .zoo.loading import load
from .zoo.registry import find_model, model_names
from .zoom import zoom_frames

__all__ = [
    "DreamError",
    "Frame",
    "ImageError",
    "LayerError",
    "ModelError",
    "Net",
    "Objectives",
    "ParameterError",
    "Recipe",
    "Step",
    "Video",
    "VideoError",
    "WeightsError",
    "__version__",
    "channels",
    "classify",
    "deepdream",
    "deprocess",
    "dream_steps",
    "find_model",
    "guided",
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
    "resize",
    "video_frames",
    "write_animation",
    "write_image",
    "zoom_frames",
]


def __dir__() -> list[str]:
    """What completion shows: the API, without the modules that it comes from."""
    return sorted(__all__)
