"""What a schedule maximises, made for a network: the settings of each frame or octave.

The central function is `scheduled_settings`. Its result is what the library's functions take as their `schedule`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from .._types import Image, Layers
from ..errors import DreamError, ParameterError
from ..guide import guided
from ..network.layers import resolve_end, weights_of
from ..network.net import Net
from ..objective_sums import Objective
from ..objectives import channels, label, objective_L2
from ..schedule import Schedule, Settings
from ..text import counted


def scheduled_settings(net: Net, schedule: Schedule, guides: Sequence[Image], end: Layers | None = None) -> Settings:
    """The settings of each frame or octave, as keyword arguments.

    Args:
        net: the network.
        schedule: the schedule.
        guides: its guides, in the order of `schedule.guides`, (H, W, 3) RGB each.
        end: the layers where the schedule names none; `None`: the network's own.

    Returns:
        A function of the frame's or octave's number. It was called for every keyframe, so a layer, channel or label
        that the network lacks has been found.

    Raises:
        DreamError: as `deepdream.guided`, `deepdream.channels` and `deepdream.label`.
        ParameterError: there are more or fewer guides than in the schedule.
    """
    if len(guides) != len(schedule.guides):
        raise ParameterError(
            f"the schedule has {counted(len(schedule.guides), 'guide')} and {len(guides)} were given; name each of "
            "them, in the order of their first use"
        )
    images = dict(zip(schedule.guides, guides))

    @functools.cache  # a guide needs a pass through the network
    def term(kind: str, name: str, layer: str) -> Any:
        if kind == "guide":
            return guided(net, images[name], layer)
        if kind == "channel":
            return channels(int(name), net, layer)
        return label(net, int(name) if name.isdecimal() else name)

    def objective(values: Mapping[str, Any]) -> Any:
        """The weighted sum of what is maximised."""
        layers = weights_of(values.get("end") or resolve_end(net, end, None))
        summed = [
            term(kind, name, layer) * (weight * own)
            for kind in ("guide", "channel")
            for name, weight in values.get(kind, {}).items()
            for layer, own in layers.items()
        ]
        summed += [term("label", name, "") * weight for name, weight in values.get("label", {}).items()]
        if not summed:
            summed = [Objective(objective_L2, net.check_layer(layer)) * weight for layer, weight in layers.items()]
        return sum(summed[1:], summed[0])

    def settings(index: int) -> dict[str, Any]:
        values = schedule.at(index)
        others = {name: value for name, value in values.items() if name not in ("end", "guide", "channel", "label")}
        if not schedule.sets_objective:
            return others
        made = objective(values)
        return {**others, "objective": made, "end": resolve_end(net, made.end, made)}

    def check_layers(moment: int, own: Mapping[str, Any]) -> None:
        for layer in own.get("end", ()):
            net.check_layer(layer)

    def check_terms(moment: int, own: Mapping[str, Any]) -> None:
        layers = weights_of(schedule.at(moment).get("end") or resolve_end(net, end, None))
        for kind in ("guide", "channel", "label"):
            for name in own.get(kind, ()):
                for layer in layers if kind != "label" else [""]:
                    term(kind, name, layer)

    for check in check_layers, check_terms, lambda moment, own: settings(moment):
        for keyframe in schedule.spec["keyframes"]:
            try:
                check(keyframe[schedule.unit], keyframe)
            except DreamError as error:
                raise type(error)(f"{schedule.unit} {keyframe[schedule.unit]} of the schedule: {error}") from None
    return settings
