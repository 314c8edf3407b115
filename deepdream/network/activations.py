"""The activations of a layer for an image of any size, with bounded memory and without approximation.

An image too large for one forward pass is processed in pieces. Each piece begins at a whole multiple of twice the
layer's stride, so that every layer's windows lie as in the whole image, at even places where those are even (Winograd's
convolutions compute the two by different sums), and is extended by the layer's receptive field; values that the borders
of a piece have affected are discarded. The numbers are those of the whole image, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._types import Image, Planes
from ..errors import ImageError
from ..memory import format_gib
from .memory import free_bytes, gradient_bytes
from .net import Net, preprocess
from .shapes import kernel_stride_pad
from .tiling import set_input

# The memory of a forward pass: well below that of the dream itself, which follows.
MAX_PASS_BYTES = 2**30


@dataclass(frozen=True)
class ReceptiveField:
    """The receptive field of a blob's values: value i sees the pixels from i·stride − before to i·stride + after."""

    stride: int
    before: int
    after: int


Fields = tuple[ReceptiveField, ReceptiveField]  # vertical and horizontal


def layer_activations(net: Net, img: Image, end: str, budget: int = MAX_PASS_BYTES) -> NDArray[np.float32]:
    """The activations of a layer for an image.

    Args:
        net: the network; its input holds a different image afterwards.
        img: (H, W, 3) RGB 0..255.
        end: a checked layer name.
        budget: the number of bytes that one forward pass may use before the image is processed in pieces.

    Returns:
        float32 (channels, h, w), or (channels,) for a layer without positions; a copy.

    Raises:
        ImageError: the image is too small for the layer, or too large for a layer that has to see all of it at once.
    """
    chw = preprocess(net, img)
    height, width = chw.shape[1:]
    if any(min(size) < 1 for size in net.sizes(height, width, end).values() if size):
        raise ImageError(f"{width}×{height} pixels are too few for {end!r}: use a larger image or a shallower layer")
    if gradient_bytes(net, end, height, width, backward=False) <= budget:
        return _forward(net, chw, end)
    fields = _receptive_fields(net, height, width, end)
    if fields is None:
        _check_memory(net, end, height, width)
        return _forward(net, chw, end)
    found = _in_pieces(net, chw, end, fields, _piece(net, end, fields, (height, width), budget))
    net.release()  # a blob never shrinks, and the dream's gradients would be as large as the pieces
    return found


def _forward(net: Net, chw: Planes, end: str) -> NDArray[np.float32]:
    with net.lock:
        set_input(net, chw)
        net._forward(0, list(net._layer_names).index(net.end_names.makers[end]))
        return np.array(net.blobs[end].data[0])


def _in_pieces(net: Net, chw: Planes, end: str, fields: Fields, piece: int) -> NDArray[np.float32]:
    """The layer's values, `piece` by `piece` of them at a time."""
    shape = net.sizes(chw.shape[1], chw.shape[2], end)[end]
    assert shape is not None  # a layer with receptive fields has positions
    found = np.empty((net.blobs[end].shape[1], *shape), np.float32)
    for top in range(0, shape[0], piece):
        for left in range(0, shape[1], piece):
            wanted = [slice(start, min(start + piece, n)) for start, n in zip((top, left), shape)]
            pixels = [_pixels(field, part, n) for field, part, n in zip(fields, wanted, chw.shape[1:])]
            inside = tuple(
                slice(part.start - seen.start // field.stride, part.stop - seen.start // field.stride)
                for field, part, seen in zip(fields, wanted, pixels)
            )
            values = _forward(net, chw[:, pixels[0], pixels[1]], end)
            found[:, wanted[0], wanted[1]] = values[:, inside[0], inside[1]]
    return found


def _pixels(field: ReceptiveField, part: slice, length: int) -> slice:
    """The pixels that the values of `part` see, from a whole multiple of twice the stride on."""
    grid = 2 * field.stride
    first = max(0, part.start * field.stride - field.before) // grid * grid
    return slice(first, min(length, (part.stop - 1) * field.stride + field.after + 1))


def _piece(net: Net, end: str, fields: Fields, shape: tuple[int, int], budget: int) -> int:
    """The number of values per side to compute at a time: as many as the budget allows, and at least one."""

    def needed(piece: int) -> int:
        sides = [min(n, (piece + 2) * field.stride + field.before + field.after) for field, n in zip(fields, shape)]
        return gradient_bytes(net, end, sides[0], sides[1], backward=False)

    piece = 1
    while piece < max(shape) and needed(piece + 1) <= budget:
        piece += 1
    return piece


def _check_memory(net: Net, end: str, height: int, width: int) -> None:
    needed, free = gradient_bytes(net, end, height, width, backward=False), free_bytes(net.gpu)
    if free is not None and needed > free:
        raise ImageError(
            f"{width}×{height} pixels need about {format_gib(needed)} of memory, because {end!r} sees the whole image, "
            f"and {format_gib(free)} are free; scale the image down"
        )


def _receptive_fields(net: Net, height: int, width: int, end: str) -> Fields | None:
    """The `ReceptiveField` of a layer's values, vertical and horizontal; `None` if it cannot be cut into pieces."""
    sizes = net.sizes(height, width, end)
    pixel = ReceptiveField(1, 0, 0)
    found: dict[str, Fields | None] = {net.inputs[0]: (pixel, pixel)}
    for layer in net.layers_up_to(end):
        if not layer.bottom:
            continue
        seen_through = kernel_stride_pad(layer)
        known = [fields for fields in (found[bottom] for bottom in layer.bottom) if fields is not None]
        for top in layer.top:
            if seen_through is None or sizes[top] is None or len(known) < len(layer.bottom):
                found[top] = None
            else:
                vertical, horizontal = (_joined(*each) for each in zip(zip(*known), *seen_through))
                found[top] = vertical, horizontal
    return found[end]


def _joined(below: Sequence[ReceptiveField], kernel: int, stride: int, pad: int) -> ReceptiveField:
    """The receptive field of a window over values whose own receptive fields are `below`, one for each bottom."""
    step = below[0].stride
    return ReceptiveField(
        step * stride,
        max(field.before for field in below) + pad * step,
        max(field.after for field in below) + (kernel - 1 - pad) * step,
    )
