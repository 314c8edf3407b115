"""DeepDream, as Google released it in 2015: a trained classifier asked, backwards, for more of what it sees.

    import deepdream as dd
    net = dd.load("bvlc_googlenet")
    dd.write_image("dream.png", dd.deepdream(net, dd.read_image("sky.jpg")))
"""

from .animation import write_animation
from .dream import Step, deepdream, dream_steps, make_step
from .errors import DreamError, ImageError, LayerError, ModelError, ParameterError, VideoError, WeightsError
from .footage import Video
from .guide import guided
from .image import read_image, write_image
from .labels import label_picture, label_steps
from .models import load
from .net import Net, classify, deprocess, preprocess
from .objectives import Objectives, channels, label, objective_L2
from .pictures import picture
from .recipe import Recipe
from .specs import objective_from_spec, spec_of
from .video import video_frames
from .zoom import Frame, zoom_frames

__version__ = "0.1.0"

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
    "channels",
    "classify",
    "deepdream",
    "deprocess",
    "dream_steps",
    "guided",
    "label",
    "label_picture",
    "label_steps",
    "load",
    "make_step",
    "objective_L2",
    "objective_from_spec",
    "picture",
    "preprocess",
    "read_image",
    "spec_of",
    "video_frames",
    "write_animation",
    "write_image",
    "zoom_frames",
]
