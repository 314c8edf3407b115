"""A dream as data: what it was made from and how, so that it can be made again.

The central type is `Recipe`. Every picture that the command writes carries one as JSON; `Recipe.from_image` reads it
back and `Recipe.render` makes the picture again, bit for bit on the same build.
"""

import inspect
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Optional, Union

import numpy as np

from . import making, models
from .checks import shown
from .dream import deepdream, fresh_seed
from .errors import ImageError, ParameterError
from .image import check_image, fit, read_text
from .pictures import expanded, find_picture, picture
from .specs import objective_from_spec

FORMAT = 1  # of the JSON
_DEEPEST = 32  # levels; what deepdream writes has five at most
# The library's signature is the only home of a default.
_DEFAULT = {name: parameter.default for name, parameter in inspect.signature(deepdream).parameters.items()}
_SETTINGS = ("iter_n", "octave_n", "octave_scale", "clip", "step_size", "jitter", "seed", "tile")
_NUMBER = (int, float)
# What a field may hold beside None; True and False are no numbers here.
_TYPES = {"kind": str, "input": str, "input_sha256": str, "model": str, "weights_sha256": str, "guide": str,
          "guide_sha256": str, "objective": Mapping, "end": (str, Mapping), "iter_n": int, "octave_n": int,
          "octave_scale": _NUMBER, "clip": bool, "step_size": _NUMBER, "jitter": int, "seed": int, "tile": (int, str),
          "max_size": int, "strength": _NUMBER, "more": Mapping, "versions": Mapping}
_MAY_BE_NONE = {"input_sha256", "weights_sha256", "guide", "guide_sha256", "end", "tile", "max_size"}


@dataclass(frozen=True)
class Recipe:
    """What a dream is made from and how.

    - `input`: the picture's name, as `deepdream.picture` takes it; `input_sha256`: of its pixels.
    - `model`: the network's name or folder; `weights_sha256`: of its file of weights.
    - `objective`: what is raised, as `deepdream.objective_from_spec` takes it; also its name alone, such as "L2".
      `None`: "guided" if there is a guide, else "L2".
    - `guide`, `guide_sha256`: as `input`, of a guided dream's guide.
    - `end`, `iter_n` … `tile`: the arguments of `deepdream`, by their names. `seed=None` draws one here and now.
    - `max_size`: the input is first scaled down to this longer side; `strength`: how much of the dream is blended into
      it, 0..1.
    - `kind`: "dream", or another of `deepdream.making.KINDS`, which keep what else they need in `more`.
    - `versions`: of what made the picture.

    The hashes and versions are filled in by `complete`; where they are `None` nothing is compared.

    **Raises:** `ParameterError` for a value of the wrong type.
    """

    input: str = "sky"
    input_sha256: Optional[str] = None
    model: str = "bvlc_googlenet"
    weights_sha256: Optional[str] = None
    objective: Optional[Mapping] = None
    guide: Optional[str] = None
    guide_sha256: Optional[str] = None
    end: Union[str, Mapping, None] = None
    iter_n: int = _DEFAULT["iter_n"]
    octave_n: int = _DEFAULT["octave_n"]
    octave_scale: float = _DEFAULT["octave_scale"]
    clip: bool = _DEFAULT["clip"]
    step_size: float = _DEFAULT["step_size"]
    jitter: int = _DEFAULT["jitter"]
    seed: Optional[int] = None
    tile: Union[int, str, None] = _DEFAULT["tile"]
    max_size: Optional[int] = None
    strength: float = 1.0
    kind: str = "dream"
    more: Mapping = field(default_factory=dict)
    versions: Mapping = field(default_factory=dict)

    def __post_init__(self):
        objective = self.objective if self.objective is not None else "guided" if self.guide else "L2"
        if isinstance(objective, str):
            objective = {"objective": objective}
        self._set(objective=_without_hash(_plain(objective)), seed=fresh_seed() if self.seed is None else self.seed)
        for name, kind in _TYPES.items():
            self._set(**{name: _plain(getattr(self, name))})
            _check_type(name, getattr(self, name), kind)
        for name in ("input_sha256", "guide_sha256", "weights_sha256"):
            if getattr(self, name) is not None and not re.fullmatch("[0-9a-f]{64}", getattr(self, name)):
                raise ParameterError(f"{name}={shown(getattr(self, name))}: a sha256 has 64 hexadecimal digits")
        if not 0 <= self.strength <= 1:
            raise ParameterError(f"strength={shown(self.strength)}: must be from 0, the input, to 1, the dream")
        if self.max_size is not None and self.max_size < 1:
            raise ParameterError(f"max_size={shown(self.max_size)}: the longer side in pixels must be 1 or more")
        making.check_more(self)

    def _set(self, **values):
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def to_json(self):
        """The recipe as one line of ASCII."""
        return json.dumps({"recipe": FORMAT, **asdict(self)})

    @classmethod
    def from_json(cls, text):
        """The recipe that `to_json` wrote.

        **Raises:** `ParameterError` for anything else, and for recipes of a newer deepdream.
        """
        try:
            values = json.loads(text)
        except (TypeError, ValueError, RecursionError):
            values = None
        if not isinstance(values, dict) or "recipe" not in values:
            raise ParameterError("this is not a recipe")
        number = values.pop("recipe")
        if number != FORMAT:
            raise ParameterError(f"the recipe has format {shown(number)} and this deepdream reads format {FORMAT}; "
                                 "use the deepdream that wrote it, or a newer one")
        unknown = sorted(set(values) - {each.name for each in fields(cls)})
        if unknown:
            raise ParameterError(f"the recipe has an entry {shown(unknown[0])} that no deepdream writes; it was "
                                 "changed")
        return cls(**values)

    @classmethod
    def from_image(cls, path):
        """The recipe inside a picture file.

        **Raises:** `ImageError` if the file cannot be read, holds no recipe, or one that is damaged or too new.
        """
        text = read_text(path)
        if not text or '"recipe"' not in text:
            raise ImageError(f"{path} holds no recipe: deepdream did not write it, or what is written beside the "
                             "pixels was lost on its way, as in most editors and messengers")
        try:
            return cls.from_json(text)
        except ParameterError as error:
            raise ImageError(f"{path}: {error}") from None

    def complete(self, net, image, guide=None):
        """The recipe with what decides the pixels filled in.

        **Arguments:** `net`: the `Net`; `image`, `guide`: the pictures, (H, W, 3), in full size.

        **Returns:** a `Recipe` whose `end` names layers and whose `tile` is a number or `None`, with the hashes of the
        pictures and of the weights, and the versions of what computes here.
        """
        return making.complete(self, net, image, guide)

    def settings(self, net, guide=None):
        """The keyword arguments of `deepdream` and `dream_steps`; the picture for them comes from `fit`."""
        if guide is not None:  # the playground scales guides down
            guide = fit(guide, self.more.get("guide_max_size"))
        return {"end": self.end, "objective": objective_from_spec(net, self.objective, self.end, guide),
                **{name: getattr(self, name) for name in _SETTINGS}}

    def fit(self, image):
        """The input as it is dreamt on, no larger than `max_size`."""
        return fit(check_image(image), self.max_size)

    def blend(self, image, dream):
        """The picture of a recipe: `strength` of the dream on the input that `fit` returned."""
        return dream if self.strength == 1 else image + np.float32(self.strength) * (dream - image)

    def render(self, image=None, guide=None, net=None, beside=None):
        """Make the picture.

        What differs from what the recipe records (the picture, the weights, a version) is said in the log, a line
        each.

        **Arguments:**

        - `image`, `guide`: arrays (H, W, 3), or names; `None`: the ones recorded, searched by name and hash.
        - `net`: a loaded `Net`; `None`: the recorded model is loaded.
        - `beside`: a folder to search for the pictures as well.

        **Returns:** float32 (H, W, 3), RGB.

        **Raises:** a `DreamError` that says what is missing.
        """
        return self.make(image, guide, net, beside)[0]

    def make(self, image=None, guide=None, net=None, beside=None, progress=None, gpu=None):
        """(picture, complete recipe): what `render` and `complete` give, at once.

        `progress` is called with the share that is done, 0..1, after each step. `gpu` is the device of a network that
        has to be loaded.
        """
        return making.make(self, image, guide, net, beside, progress, gpu)

    def load(self, gpu=None):
        """The recorded network, on this device (`deepdream.load`)."""
        return models.load(expanded(self.model), gpu=gpu)

    def pictures(self, image=None, guide=None, beside=None):
        """(image, guide): the arrays that the recipe is made from, given or found; see `render`."""
        if image is None:
            image = find_picture(self.input, self.input_sha256, beside, "image (replay --input)")
        image = _given(image)
        if guide is not None:
            return image, _given(guide)
        return image, self.guide and find_picture(self.guide, self.guide_sha256, beside, "guide (replay --guide)")

    def differences(self, other):
        """What `other`, a complete recipe, has other than this one records: a list of sentences."""
        pairs = [(what, getattr(other, name), getattr(self, name)) for what, name in (
            ("another input", "input_sha256"), ("another guide", "guide_sha256"), ("other weights", "weights_sha256"))]
        said = [f"{what}: sha256 {here[:8]}… here, {recorded[:8]}… in the recipe"
                for what, here, recorded in pairs if None not in (here, recorded) and here != recorded]
        return said + [f"another {what}: {other.versions.get(what, 'none')} here, {recorded} in the recipe"
                       for what, recorded in self.versions.items() if other.versions.get(what) != recorded]


def short_name(path):
    """A path as a recipe records it: in the home folder it begins with ~, and does not tell who lives there."""
    home = os.path.expanduser("~")  # stays ~ where there is none
    return "~" + path[len(home):] if path.startswith(home + "/") and home != "/" else path


def _given(image):
    return picture(image) if isinstance(image, (str, Path)) else check_image(image)


def _without_hash(spec):
    """An objective's spec without its guide's hash: the recipe has that in a field of its own."""
    if not isinstance(spec, Mapping):
        return spec
    return {key: _without_hash(value) for key, value in spec.items() if key != "guide_sha256"}


def _plain(value, depth=0):
    """A value as JSON gives it back: NumPy's numbers and tuples become Python's numbers and lists."""
    if depth > _DEEPEST:
        raise ParameterError(f"this is not a recipe: a value in it is nested more than {_DEEPEST} levels deep")
    if isinstance(value, Mapping):
        return {str(key): _plain(each, depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(each, depth + 1) for each in value]
    return value.item() if isinstance(value, np.generic) else str(value) if isinstance(value, Path) else value


def _check_type(name, value, kind):
    if value is None and name in _MAY_BE_NONE:
        return
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ParameterError(f"{name}={shown(value)}: this is not what a recipe has there")
