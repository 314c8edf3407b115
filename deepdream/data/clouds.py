"""A generated sky, the same everywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._types import Image


def clouds(height: int = 575, width: int = 1024, seed: int = 2015) -> Image:
    """A sky of fractal clouds: noise whose spectrum falls as a power of the frequency, lit from above.

    The idea is Fourier synthesis of fractal clouds (Voss, "Random fractal forgeries", 1985).

    Args:
        height: in pixels.
        width: in pixels.
        seed: the random seed of the noise, 0..2**32-2.

    Returns:
        float32 (height, width, 3), RGB, 0..255.
    """
    density = _fractal_noise(height, width, 1.7, seed)
    cover = 1 / (1 + np.exp(-3.2 * (density - 0.35)))
    # A cloud is bright where it is thicker than the cloud just above it, towards the sun.
    lit = density - np.roll(density, height // 24, axis=0)
    light = 0.5 + 0.5 * np.tanh(-1.1 * lit + 0.5 * _fractal_noise(height, width, 1.5, seed + 1))
    down = np.linspace(0, 1, height)[:, None, None]
    blue = (1 - down) * np.array([52, 98, 158]) + down * np.array([132, 174, 208])
    white = 158 + 97 * light[:, :, None] * np.array([1.0, 1.0, 0.98])
    return np.float32(np.clip(blue + cover[:, :, None] * (white - blue), 0, 255))


def _fractal_noise(height: int, width: int, power: float, seed: int) -> NDArray[np.float64]:
    """A random field with a spectrum of 1/f**power in amplitude, mean 0, standard deviation 1."""
    spectrum = np.fft.rfft2(np.random.RandomState(seed).standard_normal((height, width)))
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    lowest = 1 / 260  # no structure much wider than a quarter of the image
    frequency = np.sqrt(fy**2 + (1.5 * fx) ** 2 + lowest**2)  # clouds are wider than they are high
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum / frequency**power, s=(height, width))
    return field / field.std()
