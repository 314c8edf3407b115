"""Settings that change while a run goes on: from frame to frame, or from octave to octave.

The central type is `Schedule`: settings at some moments, the *keyframes*, and their values between them. A number
changes evenly, or smoothly, from one keyframe that sets it to the next; before the first and after the last it stays as
it is. What is maximised is a weighted sum, whose weights change in the same way: two layers cross-fade by their
weights.
"""

from __future__ import annotations

import bisect
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .data.cache import package_data_folder
from .errors import DreamError, ParameterError
from .io.toml_file import read_toml
from .validation import MAX_PAN, MAX_STEP_SIZE, WEIGHT_LIMITS, check_count, is_number, is_pair, is_weight, short_repr

FRAME, OCTAVE = "frame", "octave"
TERMS = ("end", "guide", "channel", "label")  # what is maximised: {name: weight} each
_NUMBERS = {
    "step_size": (-MAX_STEP_SIZE, MAX_STEP_SIZE),
    "strength": (0, 1),
    "scale": (-0.9, 0.9),
    "rotate": (-math.inf, math.inf),
}
_PAIRS = {"center": math.inf, "pan": MAX_PAN}  # each with the largest number in it, without its sign
_OF_OCTAVES = (*TERMS, "step_size")  # the others belong to a whole frame
_OF_ZOOMS = ("scale", "rotate", "center", "pan")
_INTERPOLATIONS = ("linear", "smooth")
_MAX_FILE_BYTES = 2**20
_MAX_KEYFRAMES = 10_000

Settings = Callable[[int], Mapping[str, Any]]  # of a frame or an octave


class Schedule:
    """Settings at keyframes, and between them.

    Args:
        keyframes: a table each: `frame` or `octave`, its number, and any of `end`, `guide`, `channel`, `label` (a name,
            a list of names, or {name: weight}), `step_size`, and for frames `strength`, `scale`, `rotate`, `center` and
            `pan` (pairs of pixels, x and y).
        interpolation: "linear" or "smooth", which begins and ends gently at each keyframe.

    Attributes:
        unit: "frame" or "octave".
        guides: the names of the guide images.

    Raises:
        ParameterError: these are not keyframes; the message names the keyframe and the value.

    Example:
        >>> walk = dd.Schedule(
        ...     [{"frame": 0, "end": "fire3/concat", "scale": 0.0}, {"frame": 4, "end": "fire8/concat", "scale": 0.1}]
        ... )
        >>> walk.at(1)
        {'end': {'fire3/concat': 0.75, 'fire8/concat': 0.25}, 'scale': 0.025}
    """

    unit: str
    guides: list[str]

    def __init__(self, keyframes: Sequence[Mapping[str, Any]], interpolation: str = "linear") -> None:
        if not isinstance(interpolation, str) or interpolation not in _INTERPOLATIONS:
            raise ParameterError(f"interpolation={short_repr(interpolation)}: it must be 'linear' or 'smooth'")
        if not isinstance(keyframes, (list, tuple)) or not 0 < len(keyframes) <= _MAX_KEYFRAMES:
            raise ParameterError(
                f"keyframes={short_repr(keyframes)}: a schedule has a list of 1 to {_MAX_KEYFRAMES} keyframes, a table "
                "each, as in [[keyframe]] frame = 0"
            )
        self.interpolation = interpolation
        self.unit = OCTAVE if isinstance(keyframes[0], Mapping) and OCTAVE in keyframes[0] else FRAME
        self._keyframes = [_parse_keyframe(number, each, self.unit) for number, each in enumerate(keyframes, 1)]
        moments = [moment for moment, _ in self._keyframes]
        if any(later <= earlier for earlier, later in zip(moments, moments[1:])):
            raise ParameterError(f"the {self.unit}s of the keyframes are {short_repr(moments)}: they must ascend")
        self._keyed: dict[str, tuple[list[int], list[Any]]] = {}
        for moment, settings in self._keyframes:
            for name, value in settings.items():
                own_moments, values = self._keyed.setdefault(name, ([], []))
                own_moments.append(moment)
                values.append(value)
        self.guides = list(dict.fromkeys(name for _, settings in self._keyframes for name in settings.get("guide", ())))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schedule) and self.spec == other.spec

    __hash__ = None  # type: ignore[assignment]

    @property
    def spec(self) -> dict[str, Any]:
        """The schedule as a dict that JSON can hold."""
        keyframes = [{self.unit: moment, **settings} for moment, settings in self._keyframes]
        return {"interpolation": self.interpolation, "keyframes": keyframes}

    @property
    def moments(self) -> list[int]:
        """The numbers of the keyframes' frames or octaves."""
        return [moment for moment, _ in self._keyframes]

    @property
    def sets_objective(self) -> bool:
        """Whether the schedule says what is maximised."""
        return any(name in settings for _, settings in self._keyframes for name in TERMS)

    @property
    def of_zooms(self) -> list[str]:
        """The settings among the keyframes that only a zoom has."""
        return [name for name in _OF_ZOOMS if any(name in settings for _, settings in self._keyframes)]

    def at(self, index: int) -> dict[str, Any]:
        """The settings of a frame or octave: those that any keyframe sets.

        Args:
            index: its number.
        """
        names = (*TERMS, *_NUMBERS, *_PAIRS)
        return {name: self._interpolate(*self._keyed[name], index) for name in names if name in self._keyed}

    def check_octaves(self, octave_n: int) -> None:
        """Raise `ParameterError` if a keyframe's octave is beyond the last one of `octave_n`."""
        if self.unit == OCTAVE and self.moments[-1] >= octave_n:
            raise ParameterError(
                f"the schedule has octave {short_repr(self.moments[-1])}, and the last one of {octave_n} octaves is "
                f"{octave_n - 1}; leave it out, or dream more octaves"
            )

    def layers(self) -> dict[str, float]:
        """The layers of all keyframes, with the weight 1."""
        return dict.fromkeys((layer for _, settings in self._keyframes for layer in settings.get("end", ())), 1.0)

    def _interpolate(self, moments: Sequence[int], values: Sequence[Any], index: int) -> Any:
        """The value between two keyframes: a number, a pair of them, or {name: weight}."""
        after = bisect.bisect_right(moments, index)
        if after in (0, len(moments)):
            return values[min(after, len(moments) - 1)]
        (begin, end), (first, last) = moments[after - 1 : after + 1], values[after - 1 : after + 1]
        share = (index - begin) / (end - begin)
        if self.interpolation == "smooth":
            share = share * share * (3 - 2 * share)
        if isinstance(first, dict):
            weights = {
                name: (1 - share) * first.get(name, 0.0) + share * last.get(name, 0.0) for name in {**first, **last}
            }
            return {name: weight for name, weight in weights.items() if is_weight(weight)}
        if isinstance(first, list):
            return [(1 - share) * a + share * b for a, b in zip(first, last)]
        return (1 - share) * first + share * last


def read_schedule(path: str | Path) -> Schedule:
    """Read a schedule from a TOML file: `interpolation`, and a `[[keyframe]]` table for each keyframe.

    Args:
        path: the file, or the name of a bundled one: "ladder", a walk through the main layers of bvlc_googlenet.

    Returns:
        The schedule.

    Raises:
        DreamError: it cannot be read, or is not a schedule; the message names the keyframe and the value.

    Example:
        >>> dd.read_schedule("ladder").at(2)["end"]
        {'conv2/3x3': 0.84375, 'inception_3a/output': 0.15625}
    """
    bundled = package_data_folder("gallery") / "schedules" / f"{Path(path).name.removesuffix('.toml')}.toml"
    if not Path(path).exists() and bundled.is_file():
        path = bundled
    elif not os.path.lexists(path):
        names = ", ".join(sorted(each.stem for each in bundled.parent.glob("*.toml")))
        raise DreamError(f"{str(path) or repr('')} does not exist; give a TOML file, or a bundled schedule: {names}")
    table = read_toml(path, _MAX_FILE_BYTES)
    unknown = sorted(set(table) - {"interpolation", "keyframe"})
    if unknown:
        raise DreamError(f"{path} has {short_repr(unknown[0])}; a schedule has interpolation and [[keyframe]] tables")
    try:
        return Schedule(table.get("keyframe", []), table.get("interpolation", "linear"))
    except ParameterError as error:
        raise DreamError(f"{path}: {error}") from None


def schedule_from_spec(spec: Any) -> Schedule:
    """The schedule that a `spec` describes.

    Raises:
        ParameterError: it describes none.
    """
    if not isinstance(spec, Mapping) or not {"keyframes"} <= set(spec) <= {"interpolation", "keyframes"}:
        raise ParameterError(
            f"schedule={short_repr(spec)}: it must have keyframes, a list of tables, and may have interpolation"
        )
    return Schedule(spec["keyframes"], spec.get("interpolation", "linear"))


def _parse_keyframe(number: int, table: Any, unit: str) -> tuple[int, dict[str, Any]]:
    """(frame or octave, settings) of a keyframe, the `number`th."""
    where = f"keyframe {number}"
    if not isinstance(table, Mapping) or unit not in table:
        example = f"{unit}, as the first one does" if number > 1 else f"{FRAME} or its {OCTAVE}"
        raise ParameterError(f"{where}: it must be a table that says its {example}, as in {unit} = 0")
    if FRAME in table and OCTAVE in table:
        raise ParameterError(
            f"{where} has a {FRAME} and an {OCTAVE}: keep the {FRAME} in zooms and videos, else the other"
        )
    try:
        check_count(unit, table[unit], 0, f"the {unit}'s number")
    except ParameterError as error:
        raise ParameterError(f"{where}: {error}") from None
    allowed = _OF_OCTAVES if unit == OCTAVE else (*TERMS, *_NUMBERS, *_PAIRS)
    settings: dict[str, Any] = {}
    for name, value in table.items():
        if name == unit:
            continue
        if name not in allowed:
            raise ParameterError(
                f"{where} has {short_repr(name)}; for a keyframe with {'an' if unit == OCTAVE else 'a'} {unit} there "
                f"are {', '.join(allowed)}"
            )
        parse = _parse_terms if name in TERMS else _parse_number if name in _NUMBERS else _parse_pair
        settings[name] = parse(where, name, value)
    return int(table[unit]), settings


def _parse_terms(where: str, name: str, value: Any) -> dict[str, float]:
    """{name: weight} of a name, a list of names, or a table; channels and labels may be numbers."""
    given = value if isinstance(value, (Mapping, list, tuple)) else [value]
    table = given if isinstance(given, Mapping) else dict.fromkeys(map(_key, given), 1.0)
    kinds = (str, int) if name in ("channel", "label") else str
    if not table or not all(isinstance(key, kinds) and not isinstance(key, bool) and key != "" for key in given):
        what = {"end": "a layer", "guide": "an image", "channel": "the number of a channel"}.get(name, "a label")
        raise ParameterError(
            f"{where}: {name} = {short_repr(value)}: it must be {what}, a list of several, or a table with a weight "
            "for each"
        )
    for key, weight in table.items():
        if not is_number(weight) or not is_weight(weight):
            raise ParameterError(f"{where}: {name} = {short_repr(value)}: the weight of {key} must be {WEIGHT_LIMITS}")
    if name == "channel" and not all(re.fullmatch(r"\d{1,9}", key) for key in table):
        raise ParameterError(f"{where}: channel = {short_repr(value)}: channels are whole numbers from 0")
    return {str(key): float(weight) for key, weight in table.items()}


def _key(value: Any) -> str:
    """What a list holds as the key of a table."""
    return value if isinstance(value, str) else short_repr(value)


def _parse_number(where: str, name: str, value: Any) -> float:
    lowest, highest = _NUMBERS[name]
    if not is_number(value) or not lowest <= value <= highest:
        limit = "a number" if highest == math.inf else f"a number from {lowest} to {highest}"
        raise ParameterError(f"{where}: {name} = {short_repr(value)}: it must be {limit}")
    return float(value)


def _parse_pair(where: str, name: str, value: Any) -> list[float]:
    highest = _PAIRS[name]
    if not is_pair(value) or max(map(abs, value)) > highest:
        limit = "" if highest == math.inf else f", each from {-highest} to {highest}"
        raise ParameterError(f"{where}: {name} = {short_repr(value)}: it must be two numbers of pixels, [x, y]{limit}")
    return [float(each) for each in value]
