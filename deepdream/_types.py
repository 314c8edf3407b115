"""The few types that most functions share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Optional, Union

import numpy as np
from numpy.typing import NDArray

# An image outside the network: float32 (H, W, 3), RGB, 0..255. Functions also accept other arrays of numbers.
Image = NDArray[np.float32]
# An image inside the network: float32 (3, H, W), BGR, the network's mean subtracted.
Planes = NDArray[np.float32]
# Where to dream: one layer's name, or several with their weights.
Layers = Union[str, Mapping[str, float]]
# What to maximise: reads a `caffe.Blob`'s data, writes its diff, may return the value. See `deepdream.objectives`.
ObjectiveFunction = Callable[[Any], Optional[float]]
# An objective for all layers, or one for each.
ObjectiveOrMapping = Union[ObjectiveFunction, Mapping[str, ObjectiveFunction]]
