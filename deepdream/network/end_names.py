"""The names by which a network's layers can be dreamt: those of their outputs, and their own.

Most definitions give a layer and its output, a *blob*, one name. Where the two differ, either can be dreamt. A blob's
name counts first, and it is the one that the rest of the library goes by.
"""

from __future__ import annotations

import difflib

from caffe.proto import caffe_pb2

from ..errors import LayerError
from ..validation import short_repr


class EndNames:
    """The names that `end` may have.

    Args:
        net: a checked definition.

    Attributes:
        makers: {blob: the layer that makes it}, from the input upwards. A layer that changes a blob in place does not
            make it.
        layers: {layer: its blob}, for the layers with one output that bears another name.
    """

    def __init__(self, net: caffe_pb2.NetParameter) -> None:
        self.makers: dict[str, str] = {}
        self.layers: dict[str, str] = {}
        self._in_place: dict[str, str] = {}  # layer -> the blob that it changes
        for layer in net.layer:
            made = [top for top in layer.top if top not in layer.bottom]
            if layer.bottom:
                self.makers.update(dict.fromkeys(made, layer.name))
            if layer.bottom and len(made) == 1:
                self.layers[layer.name] = made[0]
            elif layer.bottom and not made and layer.top:
                self._in_place[layer.name] = layer.top[0]
        self.layers = {layer: blob for layer, blob in self.layers.items() if layer not in self.makers}

    def blob(self, name: str) -> str:
        """The blob that is dreamt by this name.

        Args:
            name: of a blob or of a layer.

        Returns:
            The blob's name.

        Raises:
            LayerError: there is none; the message names the closest ones.
        """
        if name in self.makers:
            return name
        if name in self.layers:
            return self.layers[name]
        if not self.makers:
            raise LayerError("the network has no layer that can be dreamt: it has only an input")
        raise LayerError(
            f"the network has no layer {short_repr(name)} to dream; {self._hint(name)} (`deepdream layers` lists them)"
        )

    def _hint(self, name: str) -> str:
        if name in self._in_place:
            return f"that one changes {self._in_place[name]!r} in place, so dream {self._in_place[name]!r}"
        close = difflib.get_close_matches(name, [*self.makers, *self.layers], n=3, cutoff=0.5)
        if close:
            return f"did you mean {' or '.join(close)}?"
        blobs = list(self.makers)
        return f"it has {', '.join(blobs[:3])} … {blobs[-1]}"
