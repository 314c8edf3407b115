"""Objectives as data: what a recipe keeps of them.

A spec is a dict that JSON can hold. `{"objective": "L2"}`, `{"objective": "channels", "indices": [1, 2]}`,
`{"objective": "label", "label": "banana", "index": 954}`, `{"objective": "guided", "guide_sha256": "…"}`, and for a
mapping `{"objective": "layers", "layers": {layer: spec}}`. `guide_sha256` is that of the guide's pixels
(`deepdream.pictures.picture_sha256`); the guide itself is not part of the spec.
"""

from collections.abc import Mapping

from .checks import shown
from .errors import ParameterError
from .guide import guided
from .objectives import channels, label, objective_L2


def spec_of(objective):
    """The spec of an objective or of a mapping of them; `None` if one is not ours and says nothing of itself."""
    if isinstance(objective, Mapping):
        specs = {layer: spec_of(f) for layer, f in objective.items()}
        return None if None in specs.values() else {"objective": "layers", "layers": specs}
    return getattr(objective, "spec", None)


def objective_from_spec(net, spec, end=None, guide=None):
    """Make an objective again.

    **Arguments:** `net`: a `Net`; `spec`: see above; `end`: the layer or {layer: weight} that a guide is used at;
    `guide`: the guide's picture, where the spec needs one. Whether it is the same picture is not asked here.

    **Returns:** an objective, or a mapping of them.

    **Raises:** `ParameterError` for a spec that is none of ours, or that lacks its guide; what the objectives raise.
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
                raise ParameterError("the objective is guided by a picture; pass it as guide")
            return guided(net, guide, end)
    except (KeyError, AttributeError):
        pass
    raise ParameterError(f"{shown(spec)} describes no objective that deepdream has")
