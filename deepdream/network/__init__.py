"""A Caffe network that gives the gradient of its input: definition, weights, layers, tiles, memory, device."""

from __future__ import annotations

import os

# Caffe describes at length what it builds, unless this is set before it is imported.
os.environ.setdefault("GLOG_minloglevel", "1")
