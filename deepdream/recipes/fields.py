"""The fields of a recipe as plain data: their types, and JSON.

The central type is `RecipeFields`; `deepdream.recipes.recipe.Recipe` adds the functions that use them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..defaults import defaults_of
from ..dream import deepdream
from ..errors import ImageError, ParameterError
from ..io.background import parse_background
from ..io.image import read_embedded_text
from ..label_images import check_blur
from ..mask import MAX_FEATHER
from ..schedule import schedule_from_spec
from ..seeds import fresh_seed
from ..validation import check_count, check_number, check_wrap, short_repr
from ..zoom import check_zoom

FORMAT = 1  # of the JSON
_MAX_DEPTH = 32  # levels; deepdream itself writes at most five
_DEFAULT = defaults_of(deepdream)
_NUMBER = (int, float)
# The types that a field may have besides None; True and False are not numbers here.
_TYPES = {
    "kind": str,
    "input": str,
    "input_sha256": str,
    "model": str,
    "weights_sha256": str,
    "guide": (str, list),
    "guide_sha256": (str, list),
    "objective": Mapping,
    "end": (str, Mapping),
    "iter_n": int,
    "octave_n": int,
    "octave_scale": _NUMBER,
    "clip": bool,
    "step_size": _NUMBER,
    "jitter": int,
    "seed": int,
    "tile": (int, str),
    "max_size": int,
    "strength": _NUMBER,
    "mask": str,
    "mask_sha256": str,
    "mask_feather": _NUMBER,
    "mask_invert": bool,
    "wrap": str,
    "schedule": Mapping,
    "more": Mapping,
    "versions": Mapping,
}
_WORDS = {
    str: "a text",
    list: "a list",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Mapping: "a table",
}
_MAY_BE_NONE = {
    *("input_sha256", "weights_sha256", "guide", "guide_sha256", "mask", "mask_sha256", "wrap", "schedule"),
    *("end", "tile", "max_size"),
}
# Fields that came later: JSON has them only where they say something, so older recipes and their images stay the same.
_LATER_FIELDS = ("mask", "mask_sha256", "mask_feather", "mask_invert", "wrap", "schedule")
_Self = TypeVar("_Self", bound="RecipeFields")


@dataclass(frozen=True)
class RecipeFields:
    """The inputs and settings of a dream; see `Recipe` for the meaning of each field.

    Raises:
        ParameterError: a value has the wrong type.
    """

    input: str = "sky"
    input_sha256: str | None = None
    model: str = "bvlc_googlenet"
    weights_sha256: str | None = None
    objective: Mapping[str, Any] | str | None = None
    guide: str | list[str] | None = None
    guide_sha256: str | list[str] | None = None
    end: str | Mapping[str, float] | None = None
    iter_n: int = _DEFAULT["iter_n"]
    octave_n: int = _DEFAULT["octave_n"]
    octave_scale: float = _DEFAULT["octave_scale"]
    clip: bool = _DEFAULT["clip"]
    step_size: float = _DEFAULT["step_size"]
    jitter: int = _DEFAULT["jitter"]
    seed: int | None = None
    tile: int | str | None = _DEFAULT["tile"]
    max_size: int | None = None
    strength: float = 1.0
    mask: str | None = None
    mask_sha256: str | None = None
    mask_feather: float = 0.0
    mask_invert: bool = False
    wrap: str | None = None
    schedule: Mapping[str, Any] | None = None
    kind: str = "dream"
    more: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("guide", "guide_sha256"):
            self._set(**{name: _one_or_several(_plain(getattr(self, name)))})
        objective = self.objective
        if objective is None:
            objective = "guided" if self.guide and self.schedule is None else "L2"
        if isinstance(objective, str):
            objective = {"objective": objective}
        objective = _without_hashes(_plain(objective), as_list(self.guide_sha256))
        self._set(objective=objective, seed=fresh_seed() if self.seed is None else self.seed)
        for name, kind in _TYPES.items():
            self._set(**{name: _plain(getattr(self, name))})
            _check_type(name, getattr(self, name), kind)
        if not all(isinstance(each, str) for each in as_list(self.guide)):
            raise ParameterError(f"guide={short_repr(self.guide)}: it must be the name of an image, or a list of names")
        for name in ("input", "model", "mask", "guide"):
            if not all(each.strip() for each in as_list(getattr(self, name))):
                raise ParameterError(
                    f"{name}={short_repr(getattr(self, name))}: a name must not be empty; leave it out"
                )
        for name in ("input_sha256", "guide_sha256", "mask_sha256", "weights_sha256"):
            for each in as_list(getattr(self, name)):
                if not isinstance(each, str) or not re.fullmatch("[0-9a-f]{64}", each):
                    raise ParameterError(f"{name}={short_repr(each)}: a sha256 has 64 hexadecimal digits")
        if not 0 <= self.strength <= 1:
            raise ParameterError(f"strength={short_repr(self.strength)}: must be from 0, the input, to 1, the dream")
        if self.max_size is not None and self.max_size < 1:
            raise ParameterError(f"max_size={short_repr(self.max_size)}: the longer side in pixels must be 1 or more")
        check_number("mask_feather", self.mask_feather, 0, "the width of the mask's edges in pixels", MAX_FEATHER)
        if self.mask is None and (self.mask_feather or self.mask_invert):
            raise ParameterError(
                f"mask_feather={self.mask_feather:g}, mask_invert={self.mask_invert}: both change a mask; name one, "
                "as in mask = 'mask.png'"
            )
        check_wrap(self.wrap)
        if self.schedule is not None:
            schedule = schedule_from_spec(self.schedule)
            guide = self.guide if self.guide or not schedule.guides else _one_or_several(schedule.guides)
            self._set(schedule=schedule.spec, guide=guide)
        _check_more(self)

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def to_json(self) -> str:
        """The recipe as one line of ASCII."""
        values = asdict(self)
        for each in fields(self):
            if each.name in _LATER_FIELDS and values[each.name] == each.default:
                del values[each.name]
        return json.dumps({"recipe": FORMAT, **values})

    @classmethod
    def from_json(cls: type[_Self], text: str) -> _Self:
        """The recipe that `to_json` wrote.

        Raises:
            ParameterError: the text is not a recipe, or is a recipe of a newer deepdream.
        """
        try:
            values = json.loads(text)
        except (TypeError, ValueError, RecursionError):
            values = None
        if not isinstance(values, dict) or "recipe" not in values:
            raise ParameterError("this is not a recipe")
        number = values.pop("recipe")
        if number != FORMAT:
            raise ParameterError(
                f"the recipe has format {short_repr(number)}, but this deepdream reads format {FORMAT}; "
                "use the deepdream that wrote it, or a newer one"
            )
        unknown = sorted(set(values) - {each.name for each in fields(cls)})
        if unknown:
            raise ParameterError(
                f"the recipe has an entry {short_repr(unknown[0])} that deepdream never writes; it was changed"
            )
        return cls(**values)

    @classmethod
    def from_image(cls: type[_Self], path: Any) -> _Self:
        """The recipe inside an image file.

        Args:
            path: the path of the file, or a binary file object.

        Raises:
            ImageError: the file cannot be read, has no recipe, or one that is damaged or too new.
        """
        text = read_embedded_text(path)
        path = getattr(path, "name", path) if hasattr(path, "read") else path
        if not text or '"recipe"' not in text:
            raise ImageError(
                f"{path} has no recipe: deepdream did not write it, or `write_image` did without `recipe=`, or its "
                "metadata was stripped (many editors and messaging apps do that)"
            )
        try:
            return cls.from_json(text)
        except ParameterError as error:
            raise ImageError(f"{path}: {error}") from None

    def differences(self, other: RecipeFields) -> list[str]:
        """The differences of `other`, a complete recipe, from this one: a sentence each."""
        found = [
            f"{what}: sha256 {here[:8]}… here, {recorded[:8]}… in the recipe"
            for what, name in (
                ("another input", "input_sha256"),
                ("another guide", "guide_sha256"),
                ("another mask", "mask_sha256"),
                ("other weights", "weights_sha256"),
            )
            for here, recorded in zip(as_list(getattr(other, name)), as_list(getattr(self, name)))
            if here != recorded
        ]
        # Recipes from before tiles had a version lack it, and their tiles were added up in another order.
        names = [*self.versions]
        if self.versions and "tiling" in other.versions and "tiling" not in self.versions:
            names.append("tiling")
        return found + [
            f"another {name}: {other.versions.get(name, 'none')} here, {self.versions.get(name, 'none')} in the recipe"
            for name in names
            if other.versions.get(name) != self.versions.get(name)
        ]


def _check_more(recipe: RecipeFields) -> None:
    """Refuse values that a recipe's `more` cannot hold; missing ones are found only when the image is made."""
    more = recipe.more
    if more.get("guide_max_size") is not None:
        check_count("guide_max_size", more["guide_max_size"], 1, "the longer side of the guide in pixels")
    if "background" in more:
        parse_background(more["background"])
    if recipe.kind == "stopped dream":
        for name, count in (("octave", recipe.octave_n), ("iteration", recipe.iter_n)):
            if name in more:
                check_count(name, more[name], 0, f"the {name} that the dream was stopped in", max(count, 1) - 1)
    elif recipe.kind == "zoom":
        if "frame" in more:
            check_count("frame", more["frame"], 0, "the frame's number")
        check_zoom(more.get("scale", 0), more.get("rotate", 0), more.get("center"), more.get("pan", (0, 0)))
    elif recipe.kind == "label" and "blur" in more:
        check_blur(more["blur"])


def as_list(value: Any) -> list[Any]:
    """One value, a list of several, or `None` as a list."""
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]


def _one_or_several(value: Any) -> Any:
    """A list of one value as that value, an empty one as `None`: so each recipe can be written in one way only."""
    if not isinstance(value, list) or len(value) > 1:
        return value
    return value[0] if value else None


def _without_hashes(spec: Any, hashes: list[str]) -> Any:
    """An objective's spec with the numbers of its guides among `hashes` in place of their hashes.

    The recipe has a separate field for these. The number 0 is left out, and so is that of an unknown hash.
    """
    if isinstance(spec, list):
        return [_without_hashes(each, hashes) for each in spec]
    if not isinstance(spec, Mapping):
        return spec
    numbered = {key: _without_hashes(value, hashes) for key, value in spec.items() if key != "guide_sha256"}
    if spec.get("guide_sha256") in hashes[1:] and spec["guide_sha256"] != hashes[0]:
        numbered["guide"] = hashes.index(spec["guide_sha256"])
    return numbered


def _plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON returns it: NumPy's numbers and tuples become Python's numbers and lists."""
    if depth > _MAX_DEPTH:
        raise ParameterError(f"this is not a recipe: a value in it is nested more than {_MAX_DEPTH} levels deep")
    if isinstance(value, Mapping):
        return {str(key): _plain(each, depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(each, depth + 1) for each in value]
    return value.item() if isinstance(value, np.generic) else str(value) if isinstance(value, Path) else value


def _check_type(name: str, value: Any, kind: Any) -> None:
    if value is None and name in _MAY_BE_NONE:
        return
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        wanted = " or ".join(_WORDS[each] for each in kinds if kinds != _NUMBER or each is float)
        raise ParameterError(f"{name}={short_repr(value)}: it must be {wanted}")
