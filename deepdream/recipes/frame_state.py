"""The state of a run of frames in a file: the last whole frame's number, and the arrays that the next one needs."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DreamError
from ..io.files import check_regular_file


def read_state(path: Path) -> tuple[int, dict[str, Any]]:
    """(number of frames, {name: array}); (0, {}) if there is no such file.

    Raises:
        DreamError: it is damaged, or not a file.
    """
    if not path.exists():
        return 0, {}
    check_regular_file(path, math.inf, DreamError)
    try:
        with open(path, "rb") as file:  # np.load leaves it open when it is damaged
            state = dict(np.load(file, allow_pickle=False))
        return int(state.pop("index")) + 1, state
    except Exception:  # zipfile and NumPy raise many errors, depending on the damage
        raise DreamError(f"{path} is damaged; begin again in another folder") from None


def packed_state(index: int, state: Mapping[str, Any]) -> bytes:
    """The content of a state's file: in memory, because on a full disk zipfile would print lines of its own."""
    packed = io.BytesIO()
    np.savez(packed, index=index, **state)
    return packed.getvalue()
