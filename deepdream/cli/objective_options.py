"""What to maximise, as set by `--end`, `--guide`, `--channel` and `--label`: each of them, and their weighted sum.

The central type is `ObjectiveOptions`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._types import Image, Layers, ObjectiveOrMapping
from ..data.bundled import BUILT_IN, picture
from ..defaults import defaults_of
from ..dream import deepdream
from ..errors import ParameterError
from ..guide import guided
from ..io.arrays import check_image
from ..network.layers import resolve_end, weights_of
from ..network.net import Net, preprocess
from ..network.tiling import InputGradient, plan_tiles
from ..objectives import channels, label, label_index, score_layer
from ..octaves import check_sizes, octave_shapes
from ..resampling import zoom_image_linear
from ..validation import truncate
from .console import say
from .files import check_image_exists, naming
from .parsing import parse_channels, parse_layers, parse_weighted

_DEFAULT_OBJECTIVE = defaults_of(deepdream)["objective"]
_WEAK = 0.01  # the share of the strongest term's gradient below which a term changes nothing that can be seen


class ObjectiveOptions:
    """The options that say what to maximise.

    Args:
        end: LAYER or LAYER=WEIGHT each.
        guide: IMAGE or IMAGE=WEIGHT each. A text that is the name of a file has no weight.
        channel: N or N=WEIGHT each.
        label: NAME or NAME=WEIGHT each.

    Attributes:
        guides: the name and weight of each guide.

    Raises:
        ParameterError: an option is wrong, or options exclude each other.
        ImageError: there is no such guide.
    """

    def __init__(
        self,
        end: Sequence[str] | None,
        guide: Sequence[str] | None,
        channel: Sequence[str] | None,
        label: Sequence[str] | None,
    ) -> None:
        self._end = parse_layers(end)
        if label and end and not (guide or channel):
            raise ParameterError(
                "--label and --end: a label has its own layer, that of the classifier; leave --end out"
            )
        self._channels = parse_channels(channel)
        for indices in self._channels.values():
            channels(indices)
        self._labels = [parse_weighted("--label", text) for text in label or ()]
        self.guides = [(text, 1.0) if Path(text).is_file() else parse_weighted("--guide", text) for text in guide or ()]
        for name, _ in self.guides:
            check_image_exists(name, "--guide")
        _check_differ("--guide", [name for name, _ in self.guides])
        _check_differ("--label", [" ".join(name.lower().split()) for name, _ in self._labels])
        self._made: tuple[Net, list[tuple[str, Any]]] | None = None

    @property
    def count(self) -> int:
        """The number of objectives that were given; with 0 it is the default."""
        return len(self.guides) + len(self._channels) + len(self._labels)

    @functools.cached_property
    def images(self) -> list[Image]:
        """The guides, float32 (H, W, 3) RGB."""
        return read_guides(name for name, _ in self.guides)

    def read_files(self) -> None:
        """Read the guides that are files: a damaged one is found before any weights are fetched."""
        if any(name not in BUILT_IN for name, _ in self.guides):
            _ = self.images

    def check(self, net: Net) -> None:
        """Raise a `DreamError` for a layer, channel or label that the network lacks.

        Guides are not made, because each needs a pass through the network.
        """
        end = self._layers(net)
        others = [objective for _, objective in [*self._channel_terms(net), *self._label_terms(net)]]
        for objective in others or [_DEFAULT_OBJECTIVE]:
            resolve_end(net, getattr(objective, "end", None) or end, objective)

    def objective(self, net: Net) -> ObjectiveOrMapping:
        """The objective, made for `net`: the sum of those that were given."""
        terms = [objective for _, objective in self._terms(net)]
        return sum(terms[1:], terms[0]) if terms else _DEFAULT_OBJECTIVE

    def end(self, net: Net, objective: ObjectiveOrMapping) -> Layers:
        """The checked layers of what `objective` returned."""
        return resolve_end(net, getattr(objective, "end", None) or self._end, objective)

    def describe(self, net: Net) -> str:
        """The layers of a dream and its objective there, for a person."""
        labels = [(net.labels[label_index(net.labels, name)], weight) for name, weight in self._labels]
        # A label has several names, with commas between them.
        if len(labels) > 1 or any(weight != 1 for _, weight in labels):
            labels = [(names.partition(",")[0], weight) for names, weight in labels]
        of_labels = itertools.starmap(_with_weight, labels)
        layers = {score_layer(net): 1.0} if self._labels else {}
        if self.guides or self._channels or not self._labels:
            layers = {**weights_of(self._layers(net)), **layers}
        has_weights = set(layers.values()) != {1.0}
        of_channels = [
            _with_weight(number, weight)
            for weight, indices in self._channels.items()
            for number in sorted(set(indices))
        ]
        of_guides = itertools.starmap(_with_weight, self.guides)
        parts = [
            ", ".join(itertools.starmap("{}={:g}".format, layers.items()) if has_weights else layers),
            f"channel {', '.join(of_channels)}" if of_channels else "",
            f"guided by {', '.join(of_guides)}" if self.guides else "",
            f"label {', '.join(of_labels)}" if self._labels else "",
        ]
        return "; ".join(filter(None, parts))

    def tell_weak_terms(self, net: Net, img: Image, settings: Mapping[str, Any]) -> None:
        """Print a line for each term of a sum whose weight is too small to change anything, with one that would do.

        Args:
            net: the network.
            img: the image that is dreamt on, (H, W, 3); the gradients are measured in its smallest octave.
            settings: the keyword arguments of `dream_steps`.

        Raises:
            ImageError: the image is too small.
        """
        if self.count < 2:
            return
        height, width = img.shape[:2]
        shapes = octave_shapes(height, width, settings["octave_n"], settings["octave_scale"])
        check_sizes(net, settings["end"], shapes, settings["octave_scale"])
        small = preprocess(net, zoom_image_linear(img, shapes[0]))
        sizes = {}
        for text, objective in self._terms(net):
            end = self.end(net, objective)
            tile = plan_tiles(net, end, shapes[:1], settings["tile"] or "auto")
            gradient, _ = InputGradient(net, end, objective, tile, may_shrink=True)(small)
            sizes[text] = float(np.abs(gradient).mean(dtype=np.float64))
        largest = max(sizes.values())
        for text, size in sizes.items():
            if 0 < size < _WEAK * largest:
                name, weight = parse_weighted("", text)
                say(
                    f"{truncate(text)} changes next to nothing: its gradient is {size / largest:.0e} of the largest. "
                    f"For a gradient as large: {truncate(name)}={weight * largest / size:.1g}"
                )

    def _layers(self, net: Net) -> Layers:
        return resolve_end(net, self._end, None)

    def _terms(self, net: Net) -> list[tuple[str, Any]]:
        """(option, weighted objective) of each term.

        They are made once for a network, because a guide needs a pass through it.
        """
        if self._made is None or self._made[0] is not net:
            self._made = net, self._make_terms(net)
        return self._made[1]

    def _make_terms(self, net: Net) -> list[tuple[str, Any]]:
        end = self._layers(net) if self.guides else ""
        terms = [
            (f"--guide {_with_weight(name, weight)}", guided(net, img, end) * weight)
            for (name, weight), img in zip(self.guides, self.images)
        ]
        return [*terms, *self._channel_terms(net), *self._label_terms(net)]

    def _channel_terms(self, net: Net) -> list[tuple[str, Any]]:
        """An objective for all channels of each weight, at every layer."""
        return [
            (
                f"--channel {_with_weight(indices[0], weight)}",
                sum(
                    channels(indices, net, layer) * (weight * own)
                    for layer, own in weights_of(self._layers(net)).items()
                ),
            )
            for weight, indices in self._channels.items()
        ]

    def _label_terms(self, net: Net) -> list[tuple[str, Any]]:
        return [(f"--label {_with_weight(name, weight)}", label(net, name) * weight) for name, weight in self._labels]


def _check_differ(option: str, names: Sequence[str]) -> None:
    """Raise `ParameterError` for a name that is given twice: its weight would be another, or 0."""
    for name in names:
        if names.count(name) > 1:
            raise ParameterError(f"{option} {truncate(name)} is given twice; give it once, with a weight if necessary")


def read_guides(names: Iterable[str], option: str = "--guide") -> list[Image]:
    """Guides by their names, float32 (H, W, 3) RGB; a message begins with the option that named them."""
    with naming(option):
        return [check_image(picture(name)) for name in names]


def _with_weight(name: Any, weight: float) -> str:
    return str(name) if weight == 1 else f"{name}={weight:g}"
