"""DeepDream, as Google released it in 2015: a trained classifier asked, backwards, for more of what it sees.

    import deepdream as dd
    net = dd.load("bvlc_googlenet")
    dd.write_image("dream.png", dd.deepdream(net, dd.read_image("sky.jpg")))
"""

from .dream import Step, deepdream, dream_steps, make_step
from .errors import DreamError, ImageError, LayerError, ModelError, ParameterError, WeightsError
from .image import read_image, write_image
from .models import load
from .net import Net, classify, deprocess, preprocess
from .objectives import objective_L2
from .pictures import picture
from .recipe import Recipe

__version__ = "0.1.0"

__all__ = [
    "DreamError",
    "ImageError",
    "LayerError",
    "ModelError",
    "Net",
    "ParameterError",
    "Recipe",
    "Step",
    "WeightsError",
    "classify",
    "deepdream",
    "deprocess",
    "dream_steps",
    "load",
    "make_step",
    "objective_L2",
    "picture",
    "preprocess",
    "read_image",
    "write_image",
]
