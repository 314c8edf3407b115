"""Files of tensors written by hand, as PyTorch and safetensors write them, and a small reference of layers.

The tests of the importer need no PyTorch: `Reference` makes random weights under PyTorch's names and computes what the
network makes of an image, with NumPy alone.
"""

import json
import struct
import zipfile

import numpy as np

STORAGES = {"float32": "FloatStorage", "float16": "HalfStorage", "float64": "DoubleStorage", "int64": "LongStorage"}
ORDERED_DICT = b"ccollections\nOrderedDict\n)R"


def text(value):
    """The instruction that pushes a text."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value):
    """The instruction that pushes a whole number."""
    content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(key, count, shape, strides=None, offset=0, storage="FloatStorage", legacy=False):
    """The instructions that make a tensor of a storage."""
    shape = tuple(shape)
    if strides is None:
        strides = [int(np.prod(shape[axis + 1 :], dtype=object)) for axis in range(len(shape))]
    identity = text("storage") + f"ctorch\n{storage}\n".encode() + text(key) + text("cpu") + number(count)
    identity = b"(" + identity + b"N" * legacy + b"tQ"
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    return (
        rebuild + b"(" + identity + number(offset) + numbers(shape) + numbers(strides) + b"\x89" + ORDERED_DICT + b"tR"
    )


def pickle_of(entries):
    """The pickle of a state dict; entries are {name: the instructions of a value}."""
    pairs = b"".join(text(name) + value for name, value in entries.items())
    return b"\x80\x02" + ORDERED_DICT + b"(" + pairs + b"u."


def pickle_of_arrays(arrays, **options):
    """The pickle of arrays, each in a storage of its own: "0", "1", …"""
    return pickle_of(
        {
            name: tensor(str(key), array.size, array.shape, storage=STORAGES[array.dtype.name], **options)
            for key, (name, array) in enumerate(arrays.items())
        }
    )


def write_zip(path, pickle, storages=(), compression=zipfile.ZIP_STORED):
    """A file of torch.save since 1.6, with this pickle and these storages as bytes."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickle)
        archive.writestr("archive/byteorder", "little")
        for key, content in enumerate(storages):
            archive.writestr(f"archive/data/{key}", content)
        archive.writestr("archive/version", "3\n")
    return path


def write_pth(path, arrays):
    """A state dict as torch.save has written it since 1.6."""
    return write_zip(path, pickle_of_arrays(arrays), [array.tobytes() for array in arrays.values()])


def legacy_bytes(pickle, storages):
    """A file of torch.save before 1.6, with this pickle and these (number of values, bytes)."""
    facts = b"\x80\x02}(" + text("protocol_version") + number(1001) + text("little_endian") + b"\x88u."
    head = b"\x80\x02" + number(0x1950A86A20F9469CFC6C) + b".\x80\x02" + number(1001) + b"." + facts
    keys = b"\x80\x02](" + b"".join(text(str(key)) for key in range(len(storages))) + b"e."
    return head + pickle + keys + b"".join(struct.pack("<q", count) + content for count, content in storages)


def write_legacy(path, arrays):
    """A state dict as torch.save wrote it before 1.6."""
    storages = [(array.size, array.tobytes()) for array in arrays.values()]
    path.write_bytes(legacy_bytes(pickle_of_arrays(arrays, legacy=True), storages))
    return path


def safetensors_bytes(header, data=b""):
    """A safetensors file; the header is JSON as text, or a table."""
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(content)) + content + data


def write_safetensors(path, arrays):
    """Arrays in the safetensors format."""
    header, place = {"__metadata__": {"format": "pt"}}, 0
    for name, array in arrays.items():
        dtype = {"float32": "F32", "float64": "F64", "float16": "F16", "int64": "I64"}[array.dtype.name]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [place, place + array.nbytes]}
        place += array.nbytes
    path.write_bytes(safetensors_bytes(header, b"".join(array.tobytes() for array in arrays.values())))
    return path


class Reference:
    """Layers on one image, (channels, height, width) in float64, with random weights that it collects in `state`."""

    def __init__(self, seed=0):
        self.rng = np.random.RandomState(seed)
        self.state = {}

    def _random(self, name, *shape, scale=1.0):
        self.state[name] = (self.rng.standard_normal(shape) * scale).astype(np.float32)
        return self.state[name].astype(np.float64)

    def convolution(self, name, x, outputs, kernel, stride=1, pad=0, bias=True):
        fan_in = x.shape[0] * kernel**2
        weight = self._random(f"{name}.weight", outputs, x.shape[0], kernel, kernel, scale=(2 / fan_in) ** 0.5)
        padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (1, 2))[:, ::stride, ::stride]
        y = np.tensordot(weight, windows, ([1, 2, 3], [0, 3, 4]))
        return y + self._random(f"{name}.bias", outputs, scale=0.3)[:, None, None] if bias else y

    def batch_norm(self, name, x, epsilon):
        gain, offset, mean = (self._random(f"{name}.{part}", len(x)) for part in ("weight", "bias", "running_mean"))
        variance = self.rng.uniform(0.1, 2, len(x)).astype(np.float32)
        self.state[f"{name}.running_var"] = variance
        self.state[f"{name}.num_batches_tracked"] = np.array(7)
        normal = (x - mean[:, None, None]) / np.sqrt(variance.astype(np.float64) + epsilon)[:, None, None]
        return normal * gain[:, None, None] + offset[:, None, None]

    def linear(self, name, x, outputs):
        weight = self._random(f"{name}.weight", outputs, x.size, scale=x.size**-0.5)
        return weight @ x.ravel() + self._random(f"{name}.bias", outputs)


def relu(x):
    return np.maximum(x, 0)


def max_pool(x, kernel, stride, pad=0, ceil=True):
    """Max-pooling; with `ceil`, the last windows may reach over the right and lower border."""
    height, width = x.shape[1:]
    over = [-(size + 2 * pad - kernel) % stride if ceil else 0 for size in (height, width)]
    padded = np.pad(x, ((0, 0), (pad, pad + over[0]), (pad, pad + over[1])), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (1, 2))[:, ::stride, ::stride]
    return windows.max((3, 4))


def local_response_norm(x):
    """GoogLeNet's: five neighbouring channels, alpha 1e-4, beta 0.75."""
    squares = np.pad(x**2, ((2, 2), (0, 0), (0, 0)))
    total = sum(squares[shift : shift + len(x)] for shift in range(5))
    return x / (1 + 1e-4 / 5 * total) ** 0.75


def softmax(x):
    exponents = np.exp(x - x.max())
    return exponents / exponents.sum()
