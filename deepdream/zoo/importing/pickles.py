"""A reader of the pickles that PyTorch writes, which knows tensors and nothing else.

A pickle is a program for a small stack machine, and Python's own reader calls any function that the program names. This
one is another machine: it has the instructions that a dictionary of tensors needs, and the few names in `_NAMES` stand
for conversions that are written here. Nothing is imported or called by name, so a file can only be read or refused.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ...errors import WeightsError
from ...validation import short_repr
from .tensors import Storage, Tensor, check_view

# Bytes. The pickle of GoogLeNet has 60 thousand; a million instructions take a second and less than 100 MB.
MAX_PICKLE_BYTES = 2**20
_MARK = object()
_END = b"."
# The types of numbers by the names of PyTorch's storage classes.
_STORAGE_TYPES = {
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "DoubleStorage": "float64",
    "LongStorage": "int64",
}


@dataclass(frozen=True)
class StorageType:
    """The name of a storage class in a pickle.

    Attributes:
        dtype: as in `Storage`.
    """

    dtype: str


@dataclass(frozen=True)
class _Function:
    """A function in a pickle: its name, and what replaces it."""

    name: str
    replacement: Callable[..., Any]


def load_pickle(stream: io.BytesIO, storage: Callable[[Any], Storage]) -> Any:
    """Read the next pickle of a stream.

    Args:
        stream: at most `MAX_PICKLE_BYTES` of the file, from its first pickle on.
        storage: the function that finds the storage for a persistent id, which may be any value.

    Returns:
        What it holds: dictionaries (of texts and numbers), lists, tuples, texts, numbers and `Tensor`s.

    Raises:
        WeightsError: it names anything else, or is damaged.
    """
    machine = _Machine(stream, storage)
    try:
        return machine.run()
    except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise WeightsError(f"its pickle is damaged at byte {stream.tell():,} ({short_repr(str(error))})") from None


class _Machine:
    """The stack machine."""

    def __init__(self, stream: io.BytesIO, storage: Callable[[Any], Storage]) -> None:
        self.stream, self.storage = stream, storage
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}  # a list as long as the largest number could fill the memory

    def run(self) -> Any:
        while (code := self._take(1)) != _END:
            if code not in _INSTRUCTIONS:
                raise WeightsError(
                    f"its pickle has the instruction {code!r} at byte {self.stream.tell():,}, which a dictionary of "
                    "tensors does not need"
                )
            _INSTRUCTIONS[code](self)
        return self.stack.pop()

    # Arguments of instructions

    def _take(self, count: int) -> bytes:
        content = self.stream.read(count)
        if len(content) != count:
            raise WeightsError(f"its pickle is cut short, or has more than {MAX_PICKLE_BYTES:,} bytes")
        return content

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def text(self, layout: str) -> str:
        return self._take(self.number(layout)).decode("utf-8", "strict")

    def line(self) -> str:
        return self.stream.readline().rstrip(b"\n").decode("utf-8", "replace")

    # Instructions

    def pop_to_mark(self) -> list[Any]:
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                items = self.stack[index + 1 :]
                del self.stack[index:]
                return items
        raise ValueError("no mark")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def push_tuple(self, count: int) -> None:
        if len(self.stack) < count:
            raise ValueError("empty stack")
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.stack.append(items)

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def push_name(self, module: str, name: str) -> None:
        known = _NAMES.get((module, name))
        if known is None:
            raise WeightsError(
                f"its pickle names {short_repr(f'{module}.{name}')}, which is neither a tensor nor a dictionary: it "
                "would run code. Nothing was run. Save only the state dict, whose values are tensors"
            )
        self.stack.append(known)

    def push_stacked_name(self) -> None:
        module, name = self.stack[-2:]
        del self.stack[-2:]
        if type(module) is not str or type(name) is not str:  # the text of a list in a list in a list has no end
            raise TypeError("a name is missing")
        self.push_name(module, name)

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise TypeError("a list is missing")
        target.extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise TypeError("a dictionary is missing")
        _update(target, zip(items[::2], items[1::2]))

    def call(self) -> None:
        function, arguments = self.stack[-2:]
        del self.stack[-2:]
        if type(function) is not _Function or type(arguments) is not tuple:
            raise TypeError("a function is missing")
        self.stack.append(function.replacement(*arguments))

    def build(self) -> None:
        """Drop the attributes of a dictionary: PyTorch keeps versions of modules there."""
        del self.stack[-1]
        if type(self.stack[-1]) is not dict:
            raise TypeError("attributes of something that is not a dictionary")

    def load_storage(self) -> None:
        self.stack.append(self.storage(self.stack.pop()))

    def long(self) -> None:
        self.stack.append(int.from_bytes(self._take(self.number("<B")), "little", signed=True))


def _update(target: dict[Any, Any], pairs: Iterable[tuple[Any, Any]]) -> None:
    """Put pairs into a dictionary."""
    for key, value in pairs:
        # A tuple that nests deeply would overflow the stack of the process when it is hashed.
        if type(key) not in (str, int):
            raise TypeError(f"a key of the type {type(key).__name__}")
        target[key] = value


def _ordered_dict(*arguments: Any) -> dict[Any, Any]:
    """An empty dictionary, or one of a list of pairs, as Python 2 wrote it."""
    result: dict[Any, Any] = {}
    for pairs in arguments:
        if type(pairs) is not list or any(type(pair) is not list or len(pair) != 2 for pair in pairs):
            raise TypeError("pairs are missing")
        _update(result, pairs)
        pairs.clear()  # a pickle that gives one long list a million times would take hours
    return result


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    """A tensor of a storage; what follows concerns gradients."""
    if type(storage) is not Storage or type(shape) is not tuple or type(strides) is not tuple:
        raise TypeError("a storage, sizes and strides are missing")
    check_view("a tensor", storage, offset, shape, strides)
    return Tensor(storage, offset, shape, strides)


def _parameter(data: Any, *_: Any) -> Tensor:
    """The tensor of a parameter; what follows concerns gradients."""
    return data if type(data) is Tensor else _refuse("a parameter without a tensor")


def _refuse(what: str) -> Any:
    raise TypeError(what)


_NAMES: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _Function("OrderedDict", _ordered_dict),
    ("torch._utils", "_rebuild_tensor"): _Function("_rebuild_tensor", _tensor),
    ("torch._utils", "_rebuild_tensor_v2"): _Function("_rebuild_tensor_v2", _tensor),
    ("torch._utils", "_rebuild_parameter"): _Function("_rebuild_parameter", _parameter),
    **{("torch", name): StorageType(dtype) for name, dtype in _STORAGE_TYPES.items()},
}
_INSTRUCTIONS: dict[bytes, Callable[[_Machine], Any]] = {
    b"\x80": lambda m: m.number("<B"),  # the protocol's version
    b"\x95": lambda m: m.number("<Q"),  # the length of a part
    b"(": lambda m: m.push(_MARK),
    b"}": lambda m: m.push({}),
    b"]": lambda m: m.push([]),
    b")": lambda m: m.push(()),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"J": lambda m: m.push(m.number("<i")),
    b"K": lambda m: m.push(m.number("<B")),
    b"M": lambda m: m.push(m.number("<H")),
    b"\x8a": lambda m: m.long(),
    b"G": lambda m: m.push(m.number(">d")),
    b"X": lambda m: m.push(m.text("<I")),
    b"\x8c": lambda m: m.push(m.text("<B")),
    b"T": lambda m: m.push(m.text("<i")),
    b"U": lambda m: m.push(m.text("<B")),
    b"c": lambda m: m.push_name(m.line(), m.line()),
    b"i": lambda m: m.push_name(m.line(), m.line()),  # an instance: only its name is read, and refused
    b"\x93": lambda m: m.push_stacked_name(),
    b"t": lambda m: m.push(tuple(m.pop_to_mark())),
    b"\x85": lambda m: m.push_tuple(1),
    b"\x86": lambda m: m.push_tuple(2),
    b"\x87": lambda m: m.push_tuple(3),
    b"a": lambda m: m.append([m.stack.pop()]),
    b"e": lambda m: m.append(m.pop_to_mark()),
    b"s": lambda m: m.set_items([m.stack.pop(-2), m.stack.pop()]),
    b"u": lambda m: m.set_items(m.pop_to_mark()),
    b"R": lambda m: m.call(),
    b"b": lambda m: m.build(),
    b"q": lambda m: m.remember(m.number("<B")),
    b"r": lambda m: m.remember(m.number("<I")),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"h": lambda m: m.push(m.memo[m.number("<B")]),
    b"j": lambda m: m.push(m.memo[m.number("<I")]),
    b"Q": lambda m: m.load_storage(),
}
