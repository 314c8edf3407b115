"""Images of labels from noise: how the network sees a label.

Google's blog post of June 2015 (Mordvintsev, Olah and Tyka, "Inceptionism: Going Deeper into Neural Networks") showed
a banana, an ant, a starfish and more that grew out of noise. Without constraints the result convinces the classifier
but shows a person nothing. These constraints make it readable:

- Large things are strong and small ones weak: each spatial frequency f of the gradient is divided by f, the spectrum
  that photographs have. (Mordvintsev's "Laplacian pyramid gradient normalization" of 2015 strengthens the low ones in
  bands; Olah, Mordvintsev and Schubert 2017, "Feature Visualization", weight them by 1/f.)
- Neighbouring pixels are alike: the image is blurred after every step, less and less. (The post requires correlated
  neighbours; Yosinski et al. 2015, "Understanding Neural Networks Through Deep Visualization", blur now and then, and
  Øygard 2015, "Visualizing GoogLeNet Classes", after every step and less as it goes on.)
- Large structures come before small ones: the image grows from scale to scale, as the octaves of a dream do (Øygard).
- No position is special: the image is shifted at random before every step (the jitter of the 2015 release).
- Red, green and blue are correlated: part of each one's change is the mean of all three.
- There is one thing, in the middle: the image is changed less towards the edge. (Our addition.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import scipy.ndimage as nd
from numpy.typing import NDArray

from ._types import Image, Planes
from .dream import Step
from .errors import ParameterError
from .network.net import Net, check_net, deprocess
from .network.step_factor import finite_factor
from .network.tiling import InputGradient, input_gradient, plan_tiles
from .objective_sums import Objective
from .objectives import label_index, score_layer
from .octaves import MAX_OCTAVES, check_sizes, octave_shapes
from .resampling import zoom_linear
from .seeds import fresh_seed
from .validation import MAX_JITTER, MAX_STEP_SIZE, check_count, check_number, check_seed, check_wrap, short_repr

MAX_SIDE = 4096  # pixels
_GREY_FRACTION = 0.4  # the share of each colour's change that is the mean of all three


def label_picture(
    net: Net,
    name: str | int,
    size: int | tuple[int, int] = 224,
    seed: int | None = None,
    iter_n: int = 50,
    octave_n: int = 3,
    octave_scale: float = 1.4,
    step_size: float = 6.0,
    jitter: int = 16,
    blur: Sequence[float] = (1.0, 0.4),
    wrap: str | None = None,
) -> Image:
    """Make an image of a label from noise, which the classifier and most people recognise as that label.

    Args:
        net: a `Net` with labels.
        name: the label, in any form that `deepdream.label` accepts.
        size: the size of the image in pixels, one number or (height, width).
        seed: the random seed of the noise and the shifts, 0..2**32-1; the same seed gives the same image. `None`: a
            fresh one.
        iter_n: steps per scale.
        octave_n: the number of scales.
        octave_scale: the ratio of one scale to the next.
        step_size: mean change of a value in the first step of each scale, on a scale of 0..255; it falls to a third.
        jitter: the largest random shift of the image in a step, in pixels.
        blur: the blur of the image after each step: the Gaussian's standard deviation in pixels at the beginning and at
            the end of each scale.
        wrap: "x" if the left and right edges join, "xy" if top and bottom join, too, as in a texture: then
            the thing need not be in the middle. `None`: no edges do.

    Returns:
        float32 (height, width, 3), RGB, within 0..255.

    Raises:
        ImageError: the image would be too small or too large for the network; before the first step.
        ModelError: the network is not a classifier; before the first step.
        ParameterError: the label is unknown, or an argument is out of its range; before the first step.

    Example:
        >>> image = dd.label_picture(net, "starfish", size=(64, 80), seed=1, iter_n=2, octave_n=1)
        >>> image.shape, image.dtype
        ((64, 80, 3), dtype('float32'))
    """
    steps = label_steps(net, name, size, seed, iter_n, octave_n, octave_scale, step_size, jitter, blur, wrap)
    return deque(steps, maxlen=1)[0].image


def label_steps(
    net: Net,
    name: str | int,
    size: int | tuple[int, int] = 224,
    seed: int | None = None,
    iter_n: int = 50,
    octave_n: int = 3,
    octave_scale: float = 1.4,
    step_size: float = 6.0,
    jitter: int = 16,
    blur: Sequence[float] = (1.0, 0.4),
    wrap: str | None = None,
) -> Iterator[Step]:
    """Make the image of a label, one step at a time.

    Args:
        net: a `Net` with labels. This and the arguments that follow are those of `label_picture`, and are checked
            before the first step.
        name: see `label_picture`.
        size: see `label_picture`.
        seed: see `label_picture`.
        iter_n: see `label_picture`.
        octave_n: see `label_picture`.
        octave_scale: see `label_picture`.
        step_size: see `label_picture`.
        jitter: see `label_picture`.
        blur: see `label_picture`.
        wrap: see `label_picture`.

    Returns:
        An iterator of `octave_n * iter_n` `Step` records; `step.objective` is the log of the label's odds.

    Raises:
        ImageError: as `label_picture`.
        ModelError: as `label_picture`.
        ParameterError: as `label_picture`.

    Example:
        >>> steps = dd.label_steps(net, "starfish", size=64, seed=1, iter_n=2, octave_n=1)
        >>> [(step.octave, step.iteration, step.image.shape) for step in steps]
        [(0, 0, (64, 64, 3)), (0, 1, (64, 64, 3))]
    """
    check_net(net)
    end, index = score_layer(net), label_index(net.labels, name)
    sides = (size, size) if isinstance(size, (int, np.integer)) else size
    if not _is_pair(sides):
        raise ParameterError(f"size={short_repr(size)}: it must be a number of pixels, or (height, width)")
    for side in sides:
        check_count("size", side, 1, "the side of the image in pixels", MAX_SIDE)
    check_label_steps(iter_n, octave_n, octave_scale, jitter, step_size)
    check_blur(blur)
    check_wrap(wrap)
    seed = fresh_seed() if seed is None else seed
    check_seed(seed)
    height, width = sides
    shapes = octave_shapes(height, width, octave_n, octave_scale)
    check_sizes(net, end, shapes, octave_scale)
    plan_tiles(net, end, shapes, None)
    gradient_of = input_gradient(net, end, _odds(index), None, seed, wrap=wrap)
    rng = np.random.RandomState(seed)
    return noise_steps(net, gradient_of, shapes, iter_n, step_size, jitter, blur, rng, wrap is None, wrap)


def check_label_steps(iter_n: Any, octave_n: Any, octave_scale: Any, jitter: Any, step_size: Any) -> None:
    """Raise `ParameterError` if one of these arguments of `label_steps` is out of its range."""
    check_count("iter_n", iter_n, 1, "the number of iterations")
    check_count("octave_n", octave_n, 1, "the number of scales", MAX_OCTAVES)
    check_number("octave_scale", octave_scale, 1, "the ratio of one scale to the next")
    check_number("step_size", step_size, 0, "the step size", MAX_STEP_SIZE)
    check_count("jitter", jitter, 0, "the jitter in pixels", MAX_JITTER)


def check_blur(blur: Any) -> None:
    """Raise `ParameterError` unless `blur` is a `blur` of `label_picture`."""
    if not _is_pair(blur):
        raise ParameterError(
            f"blur={short_repr(blur)}: it must be two numbers of pixels, at the beginning and at the end of each scale"
        )
    for sigma in blur:
        check_number("blur", sigma, 0, "the blur in pixels", MAX_SIDE)


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray)) and len(value) == 2


def noise_steps(
    net: Net,
    gradient_of: InputGradient,
    shapes: Sequence[tuple[int, int]],
    iter_n: int,
    step_size: float,
    jitter: int,
    blur: Sequence[float],
    rng: np.random.RandomState,
    centred: bool,
    wrap: str | None = None,
) -> Iterator[Step]:
    """Change noise at each of `shapes`, the smallest first, and enlarge the image from one to the next.

    Args:
        net: the network.
        gradient_of: the gradient to follow.
        shapes: (height, width) of each scale.
        iter_n: as in `label_picture`, like `step_size`, `jitter` and `blur`.
        step_size: see `iter_n`.
        jitter: see `iter_n`.
        blur: see `iter_n`.
        rng: of the noise and the shifts.
        centred: whether the corners change less than the middle.
        wrap: see `label_picture`; `gradient_of` must know it, too.

    Yields:
        The steps.
    """
    blur_modes = ["nearest", *("wrap" if letter in (wrap or "") else "nearest" for letter in "yx")]
    image: Planes = rng.normal(scale=10, size=(len(net.mean), *shapes[0])).astype(np.float32)
    for octave, shape in enumerate(shapes):
        image = zoom_linear(image, shape, wrap)
        window = _centre_window(*shape) if centred else np.float32(1)
        for iteration in range(iter_n):
            done = iteration / max(1, iter_n - 1)
            shift = rng.randint(-jitter, jitter + 1, 2)
            gradient, value = gradient_of(np.roll(image, shift, (-2, -1)))
            gradient = window * _like_photographs(np.roll(gradient, -shift, (-2, -1)))
            # A network that does not respond gives a gradient of zero, or one so small that the quotient overflows.
            factor = finite_factor(step_size * (1 - 2 / 3 * done), np.abs(gradient).mean())
            if factor is not None:
                image += gradient * factor
            sigma = blur[0] + done * (blur[1] - blur[0])
            image = nd.gaussian_filter(image, (0, sigma, sigma), mode=blur_modes)
            np.clip(image, -net.mean, 255 - net.mean, out=image)
            yield Step(octave, iteration, deprocess(net, image), cast(float, value))


def _odds(index: int) -> Objective:
    """The objective of these images: the label's score less those of all others, log(p / (1 - p)).

    The score alone also rises for things that resemble the label: its banana has a pineapple's leaves.
    """

    def raise_odds(dst: Any) -> float:
        scores = dst.data.reshape(-1).astype(np.float64)
        others = np.delete(scores, index)
        likely = np.exp(others - others.max())
        dst.diff[...] = np.insert(-likely / likely.sum(), index, 1).reshape(dst.diff.shape)
        return float(scores[index] - others.max() - np.log(likely.sum()))

    return Objective(raise_odds)


def _like_photographs(gradient: Planes) -> Planes:
    """A gradient, (3, H, W), with the spectrum and colours of photographs: mostly low frequencies and lightness."""
    height, width = gradient.shape[1:]
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = 1 / max(height, width)
    gradient = np.fft.irfft2(np.fft.rfft2(gradient) / frequency, s=(height, width)).astype(np.float32)
    return np.float32(1 - _GREY_FRACTION) * gradient + np.float32(_GREY_FRACTION) * gradient.mean(0)


def _centre_window(height: int, width: int) -> NDArray[np.float32]:
    """How much each pixel is changed, float32 (height, width): 1 in the middle, 0 in the corners."""
    y, x = (np.abs(np.arange(n) - (n - 1) / 2) / (n / 2) for n in (height, width))
    return np.clip(1.35 - np.hypot(y[:, None], x), 0, 1).astype(np.float32)
