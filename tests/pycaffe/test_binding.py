"""How Caffe's classes behave in Python: what upstream's own tests leave out."""

import gc
import os
import threading
import time
import weakref

import numpy as np
import pytest

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe

pytestmark = pytest.mark.skipif(not hasattr(caffe, "Error"), reason="another pycaffe than the one built by pycaffe/")

DATA = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 dim: 3 dim: 4 } } }\n'
CONVOLUTION = (
    'layer { name: "conv" type: "Convolution" bottom: "x" top: "y" '
    'convolution_param { num_output: 5 kernel_size: 1 weight_filler { type: "gaussian" std: 1 } } }\n'
)
SOLVER = 'net: "{net}" base_lr: 0.25 lr_policy: "fixed" max_iter: 7 type: "{kind}" solver_mode: CPU\n'
TRAINED = (
    'layer { name: "data" type: "DummyData" top: "x" top: "t" '
    "dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 dim: 1 } "
    'data_filler { type: "constant" value: 1 } data_filler { type: "constant" value: 2 } } }\n'
    'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 1 } }\n'
    'layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }\n'
)


@pytest.fixture
def definition(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text("force_backward: true\n" + DATA + CONVOLUTION, encoding="utf-8")
    return path


@pytest.fixture
def net(definition):
    return caffe.Net(str(definition), caffe.TEST)


def python_layer(tmp_path, monkeypatch, body):
    """The definition of a net with a layer that is written in Python, as class `Layer` with this body."""
    name = f"layer_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(f"import caffe\nclass Layer(caffe.Layer):\n{body}", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "python.prototxt"
    path.write_text(
        f'force_backward: true\n{DATA}layer {{ name: "mine" type: "Python" bottom: "x" top: "y" '
        f'python_param {{ module: "{name}" layer: "Layer" param_str: "a word" }} }}\n',
        encoding="utf-8",
    )
    return path


class TestViews:
    def test_they_are_caffes_own_memory(self, net):
        blob = net.blobs["x"]
        blob.data[...] = 3
        assert blob.data.flags.writeable and blob.data.dtype == np.float32 and blob.data.shape == (1, 2, 3, 4)
        assert blob.data.ctypes.data == blob.data.ctypes.data != blob.diff.ctypes.data
        net.forward()
        expected = np.einsum("oi,nihw->nohw", net.params["conv"][0].data[:, :, 0, 0], blob.data)
        assert np.allclose(net.blobs["y"].data, expected)

    def test_they_keep_their_owner_alive(self, definition):
        net = caffe.Net(str(definition), caffe.TEST)
        net.blobs["x"].data[...] = np.arange(24).reshape(1, 2, 3, 4)
        view = net.blobs["x"].data
        gone = weakref.ref(net)
        del net
        gc.collect()
        assert gone() is None
        np.zeros(1 << 20)  # takes memory that was given back, if any was
        assert np.array_equal(view.ravel(), np.arange(24))

    def test_a_size_may_be_numpys(self, net):
        net.blobs["x"].reshape(*np.array([1, 2, 5, 6]))
        assert list(net.blobs["x"].shape) == [1, 2, 5, 6]
        with pytest.raises(TypeError):
            net.blobs["x"].reshape(1, "2")


class TestNet:
    def test_a_path_is_taken_everywhere(self, definition, tmp_path):
        net = caffe.Net(definition, caffe.TEST)
        net.save(tmp_path / "weights")
        net.save_hdf5(tmp_path / "weights.h5")
        for name in ("weights", "weights.h5"):
            other = caffe.Net(definition, caffe.TEST)
            assert not np.array_equal(other.params["conv"][0].data, net.params["conv"][0].data)
            other.copy_from(tmp_path / name)
            assert np.array_equal(other.params["conv"][0].data, net.params["conv"][0].data)
        for weights in (tmp_path / "weights", str(tmp_path / "weights"), os.fsencode(tmp_path / "weights")):
            named = caffe.Net(definition, caffe.TEST, weights=weights)
            assert np.array_equal(named.params["conv"][0].data, net.params["conv"][0].data)
        old = caffe.Net(str(definition), str(tmp_path / "weights"), caffe.TEST)
        assert np.array_equal(old.params["conv"][0].data, net.params["conv"][0].data)

    def test_a_file_that_is_not_there_is_named(self, definition, tmp_path):
        with pytest.raises(RuntimeError, match=r"Could not open file .*nothing"):
            caffe.Net(tmp_path / "nothing", caffe.TEST)
        with pytest.raises(RuntimeError, match=r"Could not open file .*nothing"):
            caffe.Net(definition, caffe.TEST, weights=tmp_path / "nothing")
        with pytest.raises(TypeError):
            caffe.Net(3, caffe.TEST)

    def test_it_may_be_subclassed_and_takes_attributes(self, definition):
        class Mine(caffe.Net):
            def __init__(self, path):
                caffe.Net.__init__(self, path, caffe.TEST)
                self.word = "mine"

        net = Mine(str(definition))
        assert net.word == "mine" and list(net.blobs) == ["x", "y"]

    def test_callbacks_run_and_their_errors_arrive(self, net):
        seen = []
        net.before_forward(lambda layer: seen.append(("before", layer)))
        net.after_forward(lambda layer: seen.append(("after", layer)))
        net.before_backward(lambda layer: seen.append(("back", layer)))
        net.forward()
        net.backward()
        assert seen == [("before", 0), ("after", 0), ("before", 1), ("after", 1), ("back", 1), ("back", 0)]

        def fail(layer):
            raise LookupError("from a callback")

        net.after_backward(fail)
        with pytest.raises(LookupError, match="from a callback"):
            net.backward()

    def test_arrays_of_a_memory_layer_live_as_long_as_the_net(self, tmp_path):
        path = tmp_path / "memory.prototxt"
        path.write_text(
            'layer { name: "m" type: "MemoryData" top: "x" top: "t" '
            "memory_data_param { batch_size: 2 channels: 1 height: 2 width: 3 } }\n",
            encoding="utf-8",
        )
        net = caffe.Net(path, caffe.TEST)
        data = np.arange(24, dtype=np.float32).reshape(4, 1, 2, 3)
        net.set_input_arrays(data.copy(), np.arange(4, dtype=np.float32))
        gc.collect()
        net.forward()
        assert np.array_equal(net.blobs["x"].data, data[:2])
        net.forward()
        assert np.array_equal(net.blobs["x"].data, data[2:]) and list(net.blobs["t"].data.ravel()) == [2, 3]
        labels = np.zeros((4, 1, 1, 1), np.float32)
        for wrong, message in (
            (data.astype(np.float64), "must be float32"),
            (data[:, :, :, ::-1], "must be C contiguous"),
            (data[0], "must be 4-d"),
            (np.zeros((4, 2, 2, 3), np.float32), "wrong number of channels"),
            (np.zeros((4, 1, 3, 3), np.float32), "wrong height"),
            (np.zeros((4, 1, 2, 4), np.float32), "wrong width"),
            (data[:3], "the same first dimension"),
        ):
            with pytest.raises(RuntimeError, match=message):
                net.set_input_arrays(wrong, labels)
        with pytest.raises(RuntimeError, match="multiple of batch size"):
            net.set_input_arrays(data[:3], labels[:3])


class TestPythonLayers:
    BODY = (
        "    def setup(self, bottom, top): self.words = [self.param_str, self.phase, len(bottom), self.type]\n"
        "    def reshape(self, bottom, top): top[0].reshape(*bottom[0].shape)\n"
        "    def forward(self, bottom, top): top[0].data[...] = 10 * bottom[0].data\n"
        "    def backward(self, top, down, bottom): bottom[0].diff[...] = 10 * top[0].diff if down[0] else 0\n"
    )

    def test_they_compute_and_are_found_in_the_net(self, tmp_path, monkeypatch):
        net = caffe.Net(python_layer(tmp_path, monkeypatch, self.BODY), caffe.TEST)
        net.blobs["x"].data[...] = 2
        net.forward()
        assert np.all(net.blobs["y"].data == 20)
        net.blobs["y"].diff[...] = 1
        net.backward()
        assert np.all(net.blobs["x"].diff == 10)
        layer = net.layers[1]
        assert layer is net.layers[1] and layer.words == ["a word", caffe.TEST, 1, "Python"]
        gone = weakref.ref(layer)
        del net
        gc.collect()
        with pytest.raises(RuntimeError, match="gone"):
            _ = layer.type
        del layer
        gc.collect()
        assert gone() is None

    @pytest.mark.parametrize("method", ["setup", "reshape", "forward", "backward"])
    def test_their_errors_arrive_and_the_process_lives(self, tmp_path, monkeypatch, method):
        lines = [
            f"    def {method}(self, *a): raise LookupError('from {method}')\n" if f"def {method}(" in line else line
            for line in self.BODY.splitlines(keepends=True)
        ]
        path = python_layer(tmp_path, monkeypatch, "".join(lines))
        with pytest.raises(LookupError, match=f"from {method}"):
            net = caffe.Net(path, caffe.TEST)
            net.forward()
            net.backward()

    def test_a_missing_method_module_or_class_is_named(self, tmp_path, monkeypatch):
        path = python_layer(tmp_path, monkeypatch, "    def reshape(self, bottom, top): pass\n")
        with pytest.raises(caffe.Error, match="must define the method setup"):
            caffe.Net(path, caffe.TEST)
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace('layer: "Layer"', 'layer: "Nothing"'), encoding="utf-8")
        with pytest.raises(AttributeError, match="Nothing"):
            caffe.Net(path, caffe.TEST)
        path.write_text(text.replace('module: "', 'module: "no_'), encoding="utf-8")
        with pytest.raises(ImportError, match="no_layer"):
            caffe.Net(path, caffe.TEST)


class TestSolvers:
    KINDS = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")

    def path(self, tmp_path, kind):
        (tmp_path / "net.prototxt").write_text(TRAINED, encoding="utf-8")
        path = tmp_path / f"{kind}.prototxt"
        more = "momentum: 0.9" if kind in ("AdaDelta", "Adam", "Nesterov") else ""
        text = (
            SOLVER.format(net=tmp_path / "net.prototxt", kind=kind) + more + (" rms_decay: 0.9" * (kind == "RMSProp"))
        )
        path.write_text(text, encoding="utf-8")
        return path

    @pytest.mark.parametrize("kind", KINDS)
    def test_get_solver_gives_its_own_kind(self, kind, tmp_path):
        path = self.path(tmp_path, kind)
        solver = caffe.get_solver(path)
        cls = getattr(caffe, f"{kind}Solver")
        assert type(solver) is cls and isinstance(cls(str(path)), caffe.SGDSolver)
        assert solver.param.max_iter == 7 and solver.param.base_lr == 0.25
        before = solver.net.params["ip"][0].data.copy()
        solver.step(2)
        assert solver.iter == 2 and solver.lr == 0.25
        assert not np.array_equal(solver.net.params["ip"][0].data, before)

    def test_callbacks_and_an_error_in_one(self, tmp_path):
        solver = caffe.SGDSolver(self.path(tmp_path, "SGD"))
        seen = []
        solver.add_callback(lambda: seen.append("start"), lambda: seen.append("gradients"))
        solver.step(2)
        assert seen == ["start", "gradients"] * 2

        def fail():
            raise LookupError("from a callback")

        solver.add_callback(fail, fail)
        with pytest.raises(LookupError, match="from a callback"):
            solver.step(1)


def test_other_threads_run_during_a_pass(tmp_path):
    """A thread that counts goes on while another computes: Python's lock is released."""
    path = tmp_path / "large.prototxt"
    large = DATA.replace("dim: 3 dim: 4", "dim: 700 dim: 700")
    path.write_text(
        large + CONVOLUTION.replace("num_output: 5 kernel_size: 1", "num_output: 64 kernel_size: 7"), encoding="utf-8"
    )
    net = caffe.Net(path, caffe.TEST)
    times, over = [], threading.Event()

    def count():
        while not over.is_set():
            times.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    inside, begin = 0, time.perf_counter()
    while inside < 3 and time.perf_counter() - begin < 30:
        start = time.perf_counter()
        net.forward()
        end = time.perf_counter()
        inside = sum(start < each < end for each in times)
    over.set()
    thread.join()
    # A pass takes tenths of a second, of which a thread that waits for Python's lock sees nothing.
    assert inside >= 3
