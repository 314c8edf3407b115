"""A definition that Caffe will not build does not end the process."""

import os
import re

import caffe
import pytest
from helpers import TINY

import deepdream as dd


@pytest.mark.parametrize("forks", [True, False])
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("num_output: 6", "num_output: 4000000000", "num_output_ > 0"),
        ("num_output: 6", "num_output: 6 group: 4", "channels_ % group_ == 0"),
        ("kernel_size: 3 stride: 2 }", "kernel_size: 3 stride: 2 pad: 5 }", "pad_h_ < kernel_h_"),
        ("std: 0.05", 'std: 0.05 } bias_filler { type: "odd"', "Unknown filler name: odd"),
        ('top: "both" }', 'top: "both" concat_param { axis: 9 } }', "axis 9 out of range"),
        ("dim: 32 dim: 32", "dim: 3000000 dim: 3200000", "blob size exceeds INT_MAX"),
    ],
)
def test_what_caffe_will_not_build_does_not_end_the_process(tmp_path, monkeypatch, forks, old, new, says):
    """A stock Caffe ends its process; as on Windows where nothing forks."""
    if not forks:
        if hasattr(caffe, "Error"):
            pytest.skip("only a stock Caffe is tried out first")
        monkeypatch.delattr(os, "fork")
    path = tmp_path / "bad.prototxt"
    path.write_text(
        TINY.replace('bias_filler { type: "constant" value: 0.1 }', "").replace(old, new, 1), encoding="utf-8"
    )
    with pytest.raises(dd.DreamError, match="is not a network that Caffe can build: .*" + re.escape(says)) as refused:
        dd.Net(path, None, (104, 117, 123), "both")
    assert "\n" not in str(refused.value).rstrip("\n")
