"""What can go wrong, as exceptions. Each message names the value, the limit and the fix, in one line."""


class DreamError(Exception):
    """Anything deepdream refuses or cannot do; the classes below say which part of the work it concerns."""


class ImageError(DreamError):
    """A picture that cannot be read, used or written."""


class LayerError(DreamError):
    """A layer that the network does not have, or that cannot be dreamt with these arguments."""


class ModelError(DreamError):
    """A network definition that is missing, does not parse, or cannot be prepared for dreaming."""


class ParameterError(DreamError, ValueError):
    """A number outside its range: iterations, octaves, scale, step, jitter, seed."""


class VideoError(DreamError):
    """A film that cannot be read, dreamt or written."""


class WeightsError(DreamError):
    """Weights that cannot be had, are damaged, or belong to another network."""
