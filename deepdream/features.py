"""What a layer sees in a picture of any size, with bounded memory and without approximation.

A picture too large for one forward pass goes through in pieces. Each begins at a whole multiple of the layer's stride,
so that every layer's windows lie as in the whole picture, and reaches as far beyond its part as the layer looks; what
the pieces' borders have touched is thrown away. The numbers are those of the whole picture.
"""

from dataclasses import dataclass

import numpy as np

from .errors import ImageError
from .geometry import window
from .memory import free_bytes, gibibytes, gradient_bytes
from .net import preprocess

# What a forward pass may take: well below what the dream itself needs afterwards.
BUDGET = 2**30


@dataclass(frozen=True)
class Reach:
    """Where a value of a blob looks: value i sees the pixels from i·stride − before to i·stride + after."""

    stride: int
    before: int
    after: int


def features(net, img, end, budget=BUDGET):
    """The activations of a layer for a picture.

    **Arguments:** `net`: a `Net`, whose input is another one afterwards; `img`: (H, W, 3) RGB 0..255; `end`: a checked
    layer name; `budget`: how many bytes one forward pass may take before the picture goes through in pieces.

    **Returns:** float32 (channels, h, w), or (channels,) for a layer without places; a copy.

    **Raises:** `ImageError` if the picture is too small for the layer, or too large for a layer that has to see all of
    it at once.
    """
    chw = preprocess(net, img)
    height, width = chw.shape[1:]
    if any(min(size) < 1 for size in net.sizes(height, width, end).values() if size):
        raise ImageError(f"{width}×{height} pixels are too few for {end!r}: use a larger picture or a lower layer")
    if gradient_bytes(net, end, height, width, backward=False) <= budget:
        return _forward(net, chw, end)
    reaches = _reaches(net, height, width, end)
    if reaches is None:
        _check_memory(net, end, height, width)
        return _forward(net, chw, end)
    found = _in_pieces(net, chw, end, reaches, _piece(net, end, reaches, (height, width), budget))
    net.release()  # a blob never shrinks, and the dream's gradients would be as large as the pieces
    return found


def _forward(net, chw, end):
    with net.alone:
        net.input.reshape(1, *chw.shape)
        net.input.data[0] = chw
        return net.forward(end=end)[end][0].copy()


def _in_pieces(net, chw, end, reaches, piece):
    """The layer's values, `piece` by `piece` of them at a time."""
    shape = net.sizes(*chw.shape[1:], end)[end]
    found = np.empty((net.blobs[end].shape[1], *shape), np.float32)
    for top in range(0, shape[0], piece):
        for left in range(0, shape[1], piece):
            wanted = [slice(start, min(start + piece, n)) for start, n in zip((top, left), shape)]
            pixels = [_pixels(reach, part, n) for reach, part, n in zip(reaches, wanted, chw.shape[1:])]
            inside = tuple(slice(part.start - seen.start // reach.stride, part.stop - seen.start // reach.stride)
                           for reach, part, seen in zip(reaches, wanted, pixels))
            found[(slice(None), *wanted)] = _forward(net, chw[(slice(None), *pixels)], end)[(slice(None), *inside)]
    return found


def _pixels(reach, part, length):
    """The pixels that the values of `part` see, from a whole multiple of the stride on."""
    first = max(0, part.start * reach.stride - reach.before) // reach.stride * reach.stride
    return slice(first, min(length, (part.stop - 1) * reach.stride + reach.after + 1))


def _piece(net, end, reaches, shape, budget):
    """How many values a side may be taken at a time: as many as the budget allows, and at least one."""
    def needed(piece):
        sides = [min(n, piece * reach.stride + reach.before + reach.after + reach.stride)
                 for reach, n in zip(reaches, shape)]
        return gradient_bytes(net, end, *sides, backward=False)

    piece = 1
    while piece < max(shape) and needed(piece + 1) <= budget:
        piece += 1
    return piece


def _check_memory(net, end, height, width):
    needed, free = gradient_bytes(net, end, height, width, backward=False), free_bytes(net.gpu)
    if free is not None and needed > free:
        raise ImageError(f"{width}×{height} pixels need about {gibibytes(needed)} of memory to be seen by {end!r} as a "
                         f"whole, {gibibytes(free)} are free; scale the picture down")


def _reaches(net, height, width, end):
    """The `Reach` of a layer's values, vertical and horizontal; `None` if it has no places to cut between."""
    sizes = net.sizes(height, width, end)
    found = {net.inputs[0]: (Reach(1, 0, 0), Reach(1, 0, 0))}
    for layer in net.layers_up_to(end):
        if not layer.bottom:
            continue
        seen_through = window(layer)
        known = [found[bottom] for bottom in layer.bottom if found[bottom]]
        for top in layer.top:
            if seen_through is None or sizes[top] is None or len(known) < len(layer.bottom):
                found[top] = None
            else:
                found[top] = tuple(_joined(axis, *seen) for axis, seen in zip(zip(*known), zip(*seen_through)))
    return found[end]


def _joined(below, kernel, stride, pad):
    """The reach through a window over values that themselves look as far as `below`, the reaches of the bottoms."""
    step = below[0].stride
    return Reach(step * stride, max(reach.before for reach in below) + pad * step,
                 max(reach.after for reach in below) + (kernel - 1 - pad) * step)
