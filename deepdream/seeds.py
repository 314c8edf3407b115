"""Seeds of random streams."""

from __future__ import annotations

import secrets

import numpy as np


def fresh_seed() -> int:
    """A seed that was not used before: an int in 0..2**32-1, from the system's randomness."""
    return secrets.randbits(32)


def frame_seed(seed: int, index: int) -> int:
    """The seed of one frame: the run's own for the first, numbers derived from it for the others.

    The release's frames drew from one stream that ran on. With a seed for each frame, a frame can be dreamt by itself
    and depends only on the frame before.

    Args:
        seed: the run's.
        index: the frame's number, counted from zero.

    Returns:
        An int in 0..2**32-1.
    """
    # The algorithm of SeedSequence is frozen, as RandomState is.
    return int(seed) if index == 0 else int(np.random.SeedSequence([seed, index]).generate_state(1)[0])
