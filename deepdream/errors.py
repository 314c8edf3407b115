"""The exceptions of the package. Each message names the value, the limit and the fix, in one line.

A message may quote names and values of any length and content: the middle of a long text is left out, and control
characters are shown as Python writes them.

DreamError
├── ImageError
├── LayerError
├── ModelError
├── ParameterError      also a ValueError
├── VideoError
└── WeightsError
"""

from .text import shorten


class DreamError(Exception):
    """The base class of deepdream's errors; each subclass concerns one part of the work."""

    def __str__(self) -> str:
        return shorten(super().__str__())


class ImageError(DreamError):
    """An image that cannot be read, used or written."""


class LayerError(DreamError):
    """A layer that the network does not have, or that cannot be dreamt with these arguments."""


class ModelError(DreamError):
    """A network definition that is missing, does not parse, or cannot be prepared for dreaming."""


class ParameterError(DreamError, ValueError):
    """An argument of the wrong type or outside its range."""


class VideoError(DreamError):
    """A video that cannot be read, dreamt or written."""


class WeightsError(DreamError):
    """Weights that are missing, are damaged, or belong to another network."""
