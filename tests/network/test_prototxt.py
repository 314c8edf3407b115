"""Definitions: what is refused before Caffe sees it, and what older ones are made into."""

import os

import caffe
import pytest
from helpers import TINY, has_clip_layer

import deepdream as dd
from deepdream.network.prototxt import read_definition


def test_old_input_fields_are_understood(tmp_path):
    text = TINY.replace(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 32 dim: 32 } } }',
        'input: "data" input_dim: 10 input_dim: 3 input_dim: 32 input_dim: 32',
    )
    assert "input_param" not in text
    path = tmp_path / "old.prototxt"
    path.write_text(text, encoding="utf-8")
    net = dd.Net(path, None, (0, 0, 0), "both")
    assert net.input_size == (32, 32) and net.blobs["data"].shape[0] == 1


BAD_DEFINITIONS = {
    "does not parse": ("layer { name: 'x' typ", "not a prototxt that Caffe can read: line 1:1"),
    "no layers": ("name: 'empty'", "defines no layers"),
    "unknown type": (TINY.replace('"Softmax"', '"Softmux"'), "'prob' is of the type 'Softmux'"),
    "unknown bottom": (TINY.replace('bottom: "score"', 'bottom: "scare"'), "'prob' reads 'scare'"),
    "same name twice": (TINY.replace('name: "right"', 'name: "left"'), "two layers are called 'left'"),
    "made twice": (TINY.replace('top: "right"', 'top: "left"'), "produces 'left' a second time"),
    "no input": (TINY[TINY.index('layer { name: "conv1"') :], "reads 'data', which no layer"),
    "two channels": (TINY.replace("dim: 2 dim: 3", "dim: 2 dim: 2"), "must have the shape"),
    "stride of zero": (TINY.replace("stride: 2 pad: 1", "stride: 0 pad: 1"), "'conv1' has kernel"),
    **(
        {
            "required is missing": (
                TINY + 'layer { name: "c" type: "Clip" bottom: "prob" top: "c" clip_param { min: 0 } }',
                "lacks what Caffe requires: layer[10].clip_param.max",
            )
        }
        if has_clip_layer()
        else {}
    ),
    "runs code": (
        TINY + 'layer { name: "p" type: "Python" bottom: "prob" top: "p" python_param { module: "os" '
        'layer: "abort" } }',
        "'p' is of the type 'Python', which runs",
    ),
    "reads a file": (
        TINY + 'layer { name: "i" type: "InfogainLoss" bottom: "prob" bottom: "score" infogain_loss_param '
        '{ source: "/etc/passwd" } }',
        "'i' reads the file '/etc/passwd'",
    ),
    "writes a file": (
        TINY + 'layer { name: "h" type: "HDF5Output" bottom: "prob" bottom: "both" hdf5_output_param { '
        'file_name: "/tmp/x" } }',
        "'h' is of the type 'HDF5Output', which writes",
    ),
    "no outputs": (TINY.replace("num_output: 6 ", "num_output: 0 "), "'conv1' needs num_output"),
    "two formats": (TINY + 'layers { name: "x" type: RELU bottom: "prob" top: "x" }', "several of Caffe's formats"),
    "no input, in an old format": ('layers { name: "data" type: RELU }', "must have one Input layer"),
    "an old type that is none": ('input: "data" layers { name: "x" bottom: "data" top: "x" }', "names 1 inputs but 0"),
    "too large a kernel": (
        TINY.replace("kernel_size: 3 stride: 2 pad: 1", "kernel_size: 300"),
        "is too small for 'conv1'",
    ),
}


@pytest.mark.parametrize("kind", BAD_DEFINITIONS)
def test_bad_definitions_are_refused_with_the_reason(tmp_path, kind):
    text, reason = BAD_DEFINITIONS[kind]
    path = tmp_path / "bad.prototxt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(dd.ModelError) as refusal:
        dd.Net(path, None, (0, 0, 0), "both")
    assert reason in str(refusal.value) and str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_is_no_regular_file_is_no_definition(tmp_path, tiny_prototxt):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", "/dev/zero"):
        with pytest.raises(dd.ModelError, match="a device, a pipe or the like"):
            dd.Net(path, None, (0, 0, 0), "both")
        with pytest.raises(dd.WeightsError, match="a device, a pipe or the like"):
            dd.Net(tiny_prototxt, path, (0, 0, 0), "both")
    with open(tmp_path / "large", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(dd.ModelError, match=r"has 1,099,511,627,776 bytes, and the limit is"):
        dd.Net(tmp_path / "large", None, (0, 0, 0), "both")
    with pytest.raises(dd.WeightsError, match=r"has 1,099,511,627,776 bytes, and the limit is"):
        dd.Net(tiny_prototxt, tmp_path / "large", (0, 0, 0), "both")
    with pytest.raises(dd.ParameterError, match="prototxt=1: it must be the path of a file"):
        dd.Net(1, None, (0, 0, 0), "both")
    os.fstat(1)  # and it is still open


def test_a_binary_file_is_no_definition(tmp_path):
    path = tmp_path / "binary.prototxt"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(dd.ModelError, match="not text"):
        dd.Net(path, None, (0, 0, 0), "both")
    with pytest.raises(dd.ModelError, match="no such file"):
        dd.Net(tmp_path / "none.prototxt", None, (0, 0, 0), "both")


def test_pooling_at_random_is_refused(tmp_path):
    """A stock Caffe would end the process in the first pass."""
    path = tmp_path / "random.prototxt"
    path.write_text(
        TINY.replace("pooling_param { kernel_size: 3", "pooling_param { pool: STOCHASTIC kernel_size: 3"),
        encoding="utf-8",
    )
    with pytest.raises(dd.ModelError, match="layer 'pool1' uses STOCHASTIC pooling"):
        dd.Net(path, None, (104, 117, 123), "both")


RULES = [
    "include { phase: TRAIN }",
    "include { phase: TEST }",
    "include { phase: TRAIN } include { phase: TEST }",
    "exclude { phase: TEST }",
    "exclude { phase: TRAIN }",
    "include { min_level: 1 }",
    "include { max_level: 0 }",
    "include { phase: TEST min_level: 1 }",
    'include { stage: "deploy" }',
    'include { stage: "other" }',
    'include { not_stage: "deploy" }',
    'include { phase: TEST stage: "deploy" not_stage: "other" }',
    'exclude { stage: "deploy" stage: "other" }',
]


@pytest.mark.parametrize("old", [True, False])
def test_layers_that_are_only_trained_are_left_out_as_caffe_does(tmp_path, old):
    """Caffe's own network is the oracle; some of the layers bear one name."""
    text = TINY + 'state { stage: "deploy" }\n'
    if old:
        text = 'input: "data" input_dim: 1 input_dim: 3 input_dim: 32 input_dim: 32 state { stage: "deploy" }\n'
    kind = "layers { type: RELU" if old else 'layer { type: "ReLU"'
    for i, rule in enumerate(RULES):
        text += f'{kind} name: "x{i}" bottom: "data" top: "x{i}" {rule} }}\n'
    text += f'{kind} name: "x0" bottom: "data" top: "x0" exclude {{ phase: TRAIN }} }}\n'
    path = tmp_path / "rules.prototxt"
    path.write_text(text, encoding="utf-8")
    expected = [name for name in caffe.Net(str(path), caffe.TEST)._layer_names if name.startswith("x")]
    found = [layer.name for layer in read_definition(path).layer if layer.name.startswith("x")]
    assert found == expected
    assert 4 < len(found) < len(RULES)


def test_a_training_definition_is_named_as_one(tmp_path):
    data = 'name: "data" type: DATA top: "data" top: "label" data_param { source: "/x" }'
    path = tmp_path / "train_val.prototxt"
    path.write_text(
        f"layers {{ {data} include {{ phase: TRAIN }} }} layers {{ {data} include {{ phase: TEST }} }} "
        'layers { name: "relu" type: RELU bottom: "data" top: "x" }',
        encoding="utf-8",
    )
    with pytest.raises(
        dd.ModelError, match=r"must have one Input layer; it has data \(Data\)\. Use the deploy definition"
    ):
        dd.Net(path, None, (0, 0, 0), "x")
