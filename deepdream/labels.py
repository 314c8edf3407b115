"""Pictures from noise: what a label looks like to the network.

Google's blog post of June 2015 (Mordvintsev, Olah and Tyka, "Inceptionism: Going Deeper into Neural Networks") showed
a banana, an ant, a starfish and more that grew out of noise. Ascent on a label alone gives a picture that the
classifier is sure of and that nobody recognises. What makes it readable is to hold it to what pictures are like:

- Large things are strong and small ones weak: each spatial frequency f of the gradient is divided by f, the spectrum
  that photographs have. (Mordvintsev's "Laplacian pyramid gradient normalization" of 2015 strengthens the low ones in
  bands; Olah, Mordvintsev and Schubert 2017, "Feature Visualization", weight them by 1/f.)
- Neighbouring pixels are alike: the picture is blurred after every step, less and less. (The post asks for correlated
  neighbours; Yosinski et al. 2015, "Understanding Neural Networks Through Deep Visualization", blur now and then, and
  Øygard 2015, "Visualizing GoogLeNet Classes", after every step and less as it goes on.)
- Large structures come before small ones: the picture grows from scale to scale, as the octaves of a dream do (Øygard).
- No place is special: it is shifted at random before every step (the jitter of the 2015 release).
- Red, green and blue go together more often than not: each takes part of what all three are changed by.
- There is one thing, in the middle: towards the edge the picture is changed less. (Ours.)
"""

from collections import deque

import numpy as np
import scipy.ndimage as nd

from .checks import MOST_JITTER, MOST_STEP, check_count, check_number, shown
from .dream import Step, check_net, check_sizes, fresh_seed, octave_shapes
from .errors import ParameterError
from .net import deprocess
from .objectives import label
from .tiles import plan, set_input

LARGEST = 4096  # pixels a side
_GREY = 0.4  # how much of each colour's change is the mean of all three


def label_steps(net, name, size=224, seed=None, iter_n=50, octave_n=3, octave_scale=1.4, step_size=6.0, jitter=16,
                blur=(1.0, 0.4)):
    """Make the picture of a label, one step at a time. The arguments are those of `label_picture`, and are checked
    before the first step.

    **Returns:** an iterator of `octave_n * iter_n` `Step` records; `step.objective` is the log of the label's odds.
    """
    check_net(net)
    objective = label(net, name)
    sides = (size, size) if isinstance(size, (int, np.integer)) else size
    if not _is_pair(sides):
        raise ParameterError(f"size={shown(size)}: it must be a number of pixels, or (height, width)")
    for side in sides:
        check_count("size", side, 1, "the side of the picture in pixels", LARGEST)
    check_count("iter_n", iter_n, 1, "the number of iterations")
    check_count("octave_n", octave_n, 1, "the number of scales", 100)
    check_number("octave_scale", octave_scale, 1, "the ratio of one scale to the next")
    check_number("step_size", step_size, 0, "the step size", MOST_STEP)
    check_count("jitter", jitter, 0, "the jitter in pixels", MOST_JITTER)
    check_blur(blur)
    seed = fresh_seed() if seed is None else seed
    check_count("seed", seed, 0, "the seed", 2**32 - 1)
    shapes = octave_shapes(*sides, octave_n, octave_scale)
    check_sizes(net, objective.end, shapes, octave_scale)
    plan(net, objective.end, shapes, None)
    odds = _odds(objective.spec["index"])
    odds.end = objective.end
    return _steps(net, odds, shapes, iter_n, step_size, jitter, blur, np.random.RandomState(seed))


def check_blur(blur):
    """Refuse what is no `blur` of `label_picture`."""
    if not _is_pair(blur):
        raise ParameterError(f"blur={shown(blur)}: it must be two numbers of pixels, at the beginning and at the end "
                             "of each scale")
    for sigma in blur:
        check_number("blur", sigma, 0, "the blur in pixels", LARGEST)


def _is_pair(value):
    return isinstance(value, (list, tuple, np.ndarray)) and len(value) == 2


def label_picture(net, name, size=224, seed=None, iter_n=50, octave_n=3, octave_scale=1.4, step_size=6.0, jitter=16,
                  blur=(1.0, 0.4)):
    """Make a picture of a label out of noise: what the classifier would call by that name, and most people too.

    **Arguments:**

    - `net`: a `Net` with labels.
    - `name`: the label, as `deepdream.label` takes it.
    - `size`: of the picture in pixels, one number or (height, width).
    - `seed`: of the noise and of the random shifts, an int in 0..2**32-1; the same seed gives the same picture.
      `None`: a fresh one.
    - `iter_n`: steps per scale.
    - `octave_n`, `octave_scale`: how many scales, and the ratio of one to the next.
    - `step_size`: mean change of a value in the first step of each scale, in units of 0..255; it falls to a third.
    - `jitter`: the largest random shift in pixels.
    - `blur`: of the picture after each step, the Gaussian's standard deviation in pixels at the beginning and at the
      end of each scale.

    **Returns:** float32 (height, width, 3), RGB, within 0..255.

    **Raises:** `ParameterError`, `ImageError` or `ModelError`, before the first step.
    """
    steps = label_steps(net, name, size, seed, iter_n, octave_n, octave_scale, step_size, jitter, blur)
    return deque(steps, maxlen=1)[0].image


def _steps(net, objective, shapes, iter_n, step_size, jitter, blur, rng):
    picture = rng.normal(scale=10, size=(3, *shapes[0])).astype(np.float32)
    for octave, shape in enumerate(shapes):
        picture = nd.zoom(picture, (1, *(n / old for n, old in zip(shape, picture.shape[1:]))), order=1)
        window = _window(*shape)
        for iteration in range(iter_n):
            done = iteration / max(1, iter_n - 1)
            gradient, value = _gradient(net, objective, picture, rng.randint(-jitter, jitter + 1, 2))
            gradient = window * _like_pictures(gradient)
            magnitude = np.abs(gradient).mean()
            if magnitude > 0:
                picture += gradient * np.float32(step_size * (1 - 2 / 3 * done) / magnitude)
            sigma = blur[0] + done * (blur[1] - blur[0])
            picture = nd.gaussian_filter(picture, (0, sigma, sigma), mode="nearest")
            np.clip(picture, -net.mean, 255 - net.mean, out=picture)
            yield Step(octave, iteration, deprocess(net, picture), value)


def _odds(index):
    """The objective of these pictures: the label's score less those of all others, log(p / (1 - p)).

    The score alone also raises what is like the label: its banana has a pineapple's leaves.
    """
    def raise_odds(dst):
        scores = dst.data.reshape(-1).astype(np.float64)
        others = np.delete(scores, index)
        likely = np.exp(others - others.max())
        dst.diff[...] = np.insert(-likely / likely.sum(), index, 1).reshape(dst.diff.shape)
        return float(scores[index] - others.max() - np.log(likely.sum()))

    return raise_odds


def _gradient(net, objective, picture, shift):
    """The gradient at the shifted picture, in the place of the picture's own pixels, and the objective's value."""
    with net.alone:
        set_input(net, np.roll(picture, shift, (-2, -1)))
        gradient, value = net.input_gradient(objective.end, objective)
        return np.roll(gradient, -shift, (-2, -1)), value


def _like_pictures(gradient):
    """A gradient, (3, H, W), with the spectrum and the colours of pictures: large, and more light than colour."""
    height, width = gradient.shape[1:]
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = 1 / max(height, width)
    gradient = np.fft.irfft2(np.fft.rfft2(gradient) / frequency, s=(height, width)).astype(np.float32)
    return np.float32(1 - _GREY) * gradient + np.float32(_GREY) * gradient.mean(0)


def _window(height, width):
    """How much each pixel is changed, float32 (height, width): 1 in the middle, 0 in the corners."""
    y, x = (np.abs(np.arange(n) - (n - 1) / 2) / (n / 2) for n in (height, width))
    return np.clip(1.35 - np.hypot(y[:, None], x), 0, 1).astype(np.float32)
