"""Objectives as data, for recipes.

A spec is a dict that JSON can hold. `{"objective": "L2"}`, `{"objective": "channels", "indices": [1, 2]}`,
`{"objective": "label", "label": "banana", "index": 954}`, `{"objective": "guided", "guide_sha256": "…"}`, and for a
mapping `{"objective": "layers", "layers": {layer: spec}}`. `guide_sha256` is that of the guide's pixels
(`deepdream.io.arrays.image_sha256`); the guide itself is not part of the spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._types import Image, Layers, Objective, ObjectiveOrMapping
from ..errors import ParameterError
from ..guide import guided
from ..network.net import Net
from ..objectives import channels, label, objective_L2
from ..validation import short_repr


def spec_of(objective: ObjectiveOrMapping) -> dict[str, Any] | None:
    """The spec of an objective or of a mapping of them; `None` if one of them has no `spec`."""
    if isinstance(objective, Mapping):
        specs = {layer: spec_of(each) for layer, each in objective.items()}
        return None if None in specs.values() else {"objective": "layers", "layers": specs}
    return getattr(objective, "spec", None)


def objective_from_spec(
    net: Net, spec: Any, end: Layers | None = None, guide: Image | None = None
) -> Objective | dict[str, Any]:
    """Make an objective from its spec.

    Args:
        net: the network.
        spec: see above.
        end: the layer or {layer: weight} that a guide is used at.
        guide: the guide's image, if the spec needs one. Its hash is not compared here.

    Returns:
        An objective, or a mapping of them.

    Raises:
        ImageError: as `guided`.
        LayerError: as `guided`.
        ModelError: as `label`.
        ParameterError: this is not a spec, or its guide is missing; or as the objectives.
    """
    kind = spec.get("objective") if isinstance(spec, Mapping) else None
    try:
        if kind == "L2":
            return objective_L2
        if kind == "channels":
            return channels(spec["indices"])
        if kind == "label":
            return label(net, spec["index"] if "index" in spec else spec["label"])
        if kind == "layers":
            return {layer: objective_from_spec(net, each, layer, guide) for layer, each in spec["layers"].items()}
        if kind == "guided":
            if guide is None:
                raise ParameterError("the objective is guided by an image; pass it as guide")
            return guided(net, guide, end)
    except (KeyError, AttributeError):
        pass
    raise ParameterError(f"{short_repr(spec)} does not describe an objective of deepdream")
