"""Files of tensors from anybody.

Each is refused in one line, in little time and memory; nothing is run and nothing is written.
"""

import json
import os
import pickle
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from state_dicts import (
    ORDERED_DICT,
    legacy_bytes,
    number,
    numbers,
    pickle_of,
    pickle_of_arrays,
    safetensors_bytes,
    tensor,
    text,
    write_legacy,
    write_pth,
    write_safetensors,
    write_zip,
)

from deepdream import WeightsError
from deepdream.zoo.importing.importer import import_model
from deepdream.zoo.importing.pickles import MAX_PICKLE_BYTES

ARRAYS = {"features.0.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "features.0.bias": np.ones(2, np.float32)}
FOUR = np.arange(4, dtype=np.float32).tobytes()
GOOD = tensor("0", 4, (4,))
MAX_SECONDS, MAX_BYTES = 20, 200 * 2**20


@pytest.fixture
def refused(tmp_path):
    """A function that imports a file, which must be refused, and returns the reason."""

    def refused(content=None):
        path = tmp_path / "a.pth"
        if content is not None:
            path.write_bytes(content)
        tracemalloc.start()
        start = time.monotonic()
        try:
            with pytest.raises(WeightsError) as caught:
                import_model(path, tmp_path / "net")
            assert tracemalloc.get_traced_memory()[1] < MAX_BYTES
        finally:
            tracemalloc.stop()
        assert time.monotonic() - start < MAX_SECONDS
        message = str(caught.value)
        assert len(message) <= 300
        assert "\n" not in message
        assert [each.name for each in tmp_path.iterdir()] == [path.name]
        return message.removeprefix(f"{path}: ")

    return refused


@pytest.fixture
def refused_pickle(tmp_path, refused):
    """A function that does so with a pickle in both of PyTorch's formats, and returns the later format's reason."""

    def refused_pickle(content, storage=FOUR):
        refused(legacy_bytes(content, [(len(storage) // 4, storage)]))
        write_zip(tmp_path / "a.pth", content, [storage])
        return refused()

    return refused_pickle


def test_good_files_are_read_up_to_the_recognition_of_the_network(tmp_path, refused):
    for write in (write_pth, write_legacy, write_safetensors):
        write(tmp_path / "a.pth", ARRAYS)
        assert "but 'features.0.weight' has the shape (2, 3)" in refused()


class TestCode:
    """Pickles that would run something."""

    class Calls:
        """An object whose pickle calls a function."""

        def __init__(self, function, *arguments):
            self.call = function, arguments

        def __reduce__(self):
            return self.call

    @pytest.mark.parametrize("protocol", range(5))
    @pytest.mark.parametrize(
        "function, argument",
        [
            (os.system, "touch {mark}"),
            (eval, "open({mark!r}, 'w').close()"),
            (exec, "open({mark!r}, 'w').close()"),
            (os.mkdir, "{mark}"),
        ],
    )
    def test_of_this_machine(self, tmp_path, refused, protocol, function, argument):
        mark = tmp_path / "mark"
        content = pickle.dumps({"a": self.Calls(function, argument.format(mark=str(mark)))}, protocol)
        reasons = [refused(content)] if protocol > 1 else []
        write_zip(tmp_path / "a.pth", content, [FOUR])
        reasons.append(refused())
        assert not mark.exists()
        for reason in reasons:  # the oldest protocol has a dictionary's own instruction before the name
            assert f".{function.__name__}'" in reason or (protocol == 0 and "the instruction b'd'" in reason)
            assert "Nothing was run" in reason or protocol == 0
        pickle.loads(content)  # the file is what it claims to be
        assert mark.exists()

    @pytest.mark.parametrize("form", ["global", "stacked", "instance"])
    @pytest.mark.parametrize(
        "module, name",
        [
            ("torch", "load"),
            ("torch.storage", "_load_from_bytes"),
            ("torch._utils", "_rebuild_tensor_v2.__globals__"),
            ("torch._utils", "__builtins__"),
            ("collections", "OrderedDict.__init__"),
            ("torch.nn.modules.conv", "Conv2d"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("builtins", "getattr"),
        ],
    )
    def test_every_other_name(self, refused_pickle, module, name, form):
        instructions = {
            "global": f"c{module}\n{name}\n".encode(),
            "stacked": text(module) + text(name) + b"\x93",
            "instance": f"(i{module}\n{name}\n".encode(),
        }[form]
        assert f"{module}.{name}" in refused_pickle(pickle_of({"a": instructions + b")R"}))

    def test_attributes(self, refused_pickle):
        """A function gets none, and what a dictionary gets is dropped."""
        rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
        assert "damaged" in refused_pickle(pickle_of({"a": rebuild + b"}" + text("__code__") + b"Nsb"}))
        state = ORDERED_DICT + b"}" + text("__class__") + b"Nsb"
        assert "fit no network" in refused_pickle(pickle_of({"a": state, "b": GOOD}))

    def test_calls_of_what_is_not_a_function(self, refused_pickle):
        for call in (text("os.system") + b")R", b"ctorch\nFloatStorage\n)R", b"ccollections\nOrderedDict\nNR"):
            assert "damaged" in refused_pickle(pickle_of({"a": call}))


class TestTensors:
    """Tensors that lie about themselves."""

    @pytest.mark.parametrize(
        "shape, strides, offset, says",
        [
            ((2**40,), None, 0, "need more than the 4 numbers"),
            ((2**31, 2**31, 2**31), None, 0, "need more than the 4 numbers"),
            ((2**40,), (0,), 0, "need more than the 4 numbers"),
            ((2, 2), (2, 2), 1, "need more than the 4 numbers"),
            ((4,), (1,), 1, "need more than the 4 numbers"),
            ((2,), (2**62,), 0, "need more than the 4 numbers"),
            ((2**2000,), (1,), 0, "need more than the 4 numbers"),
            ((2,), (-1,), 3, "negative"),
            ((-4,), (1,), 0, "negative"),
            ((-2, -2), (2, 1), 0, "negative"),
            ((4,), (1,), -1, "negative"),
            ((4,), (1, 1), 0, "1 sizes and 2 strides"),
            ((1,) * 1000, (1,) * 1000, 0, "1000 sizes"),
        ],
    )
    def test_sizes_strides_and_offsets(self, refused_pickle, shape, strides, offset, says):
        assert says in refused_pickle(pickle_of({"a": tensor("0", 4, shape, strides, offset)}))

    @pytest.mark.parametrize(
        "wrong", [b"(G" + bytes(8) + b"t", b"(\x88t", b"(" + text("4") + b"t", b"((Ntt", b"]", b"N", b"(Nt"]
    )
    def test_sizes_that_are_not_numbers(self, refused_pickle, wrong):
        reason = refused_pickle(pickle_of({"a": GOOD.replace(numbers((4,)), wrong)}))
        assert "damaged" in reason or "not whole numbers" in reason

    @pytest.mark.parametrize("count", [0, 3, 5, 2**60, -1, -(2**60)])
    def test_storages_of_another_size(self, refused_pickle, count):
        assert "storage" in refused_pickle(pickle_of({"a": tensor("0", count, (0,))}))

    def test_a_storage_that_is_not_there(self, tmp_path, refused):
        for key in ("7", "../data/0", "/etc/passwd"):
            write_zip(tmp_path / "a.pth", pickle_of({"a": tensor(key, 4, (4,))}), [FOUR])
            assert "has 0 bytes, and 16 are claimed" in refused()
            old = legacy_bytes(pickle_of({"a": tensor(key, 4, (4,), legacy=True)}), [(4, FOUR)])
            assert "list of storages" in refused(old)

    def test_the_same_storage_twice(self, refused):
        two = {"a": tensor("0", 4, (4,), legacy=True), "b": tensor("0", 2, (2,), legacy=True)}
        assert "declared twice" in refused(legacy_bytes(pickle_of(two), [(4, FOUR)]))

    def test_a_thousand_tensors_of_one_storage(self, refused_pickle):
        shared = {f"t{index}": tensor("0", 10_000, (10_000,)) for index in range(1000)}
        assert "would have 40,000,000 bytes" in refused_pickle(pickle_of(shared), bytes(40_000))

    def test_persistent_ids_that_are_not_storages(self, refused_pickle):
        for identity in (b"N", text("storage"), b"((" + text("storage") + b"tt", b"(" + text("module") + b"NNNNt"):
            assert "refers to" in refused_pickle(pickle_of({"a": identity + b"Q"}))


class TestBombs:
    """Pickles that would need much time or memory."""

    @pytest.mark.parametrize(
        "deeper", [b"]" * 900_000, b"]" * 450_000 + b"a" * 449_999, b"N" + b"\x85" * 900_000, b"}" * 900_000]
    )
    def test_nesting(self, refused_pickle, deeper):
        refused_pickle(pickle_of({"a": deeper, "b": GOOD}))

    def test_a_nested_key_is_not_hashed(self, refused_pickle):
        assert "a key of the type tuple" in refused_pickle(b"\x80\x02}N" + b"\x85" * 900_000 + b"Ns.")

    def test_lists_that_double(self, refused_pickle):
        """Sixty lists, each with the last one twice: written out, they would have 2 ** 60 elements."""
        twice = (b"](h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) for n in range(60))
        doubled = b"]q\x00" + b"".join(twice)
        for content in (
            doubled,
            GOOD.replace(numbers((4,)), b"(" + doubled + b"t"),
            b"(" + doubled + b"tQ",
            doubled + doubled + b"\x93",
            b"ccollections\nOrderedDict\n(" + doubled + b"tR",
        ):
            refused_pickle(pickle_of({"a": content}))

    def test_a_memo_with_a_large_number(self, refused_pickle):
        assert "fit no network" in refused_pickle(pickle_of({"a": GOOD, "b": b"Nr\xff\xff\xff\xff"}))
        assert "damaged" in refused_pickle(pickle_of({"b": b"j\xff\xff\xff\xff"}))

    def test_one_long_list_given_again_and_again(self, refused_pickle):
        """A list of 20,000 pairs, made a dictionary 40,000 times."""
        pair = b"](" + text("k") + b"Ne"
        pairs = b"](" + pair * 20_000 + b"eq\x01"
        again = b"ccollections\nOrderedDict\nq\x02" + b"h\x02(h\x01tR" * 40_000
        assert "fit no network" in refused_pickle(b"\x80\x02}(" + text("a") + GOOD + b"u" + pairs + again + b".")

    @pytest.mark.parametrize(
        "claim", [b"X\xff\xff\xff\xff", b"T\xff\xff\xff\x7f", b"T\xfb\xff\xff\xff", b"\x8a\xff\x01", b"X\x10\0\0\0ab"]
    )
    def test_lengths_that_lie(self, refused_pickle, claim):
        assert "cut short" in refused_pickle(b"\x80\x02" + claim)

    def test_a_long_pickle(self, tmp_path, refused):
        long = pickle_of({"a": b"N" * MAX_PICKLE_BYTES})
        write_zip(tmp_path / "a.pth", long, [FOUR])
        assert "more than 1,048,576 bytes" in refused()
        assert "more than 1,048,576 bytes" in refused(legacy_bytes(long, [(4, FOUR)]))


class TestArchives:
    """Zip archives that PyTorch does not write."""

    GOOD_PICKLE = pickle_of({"a": GOOD})

    def archive(self, path, *entries, compression=zipfile.ZIP_STORED):
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in entries:
                archive.writestr(name, content)

    def test_a_compressed_bomb(self, tmp_path, refused):
        entries = ("a/data.pkl", self.GOOD_PICKLE), ("a/data/0", bytes(300 * 2**20))
        self.archive(tmp_path / "a.pth", *entries, compression=zipfile.ZIP_DEFLATED)
        assert (tmp_path / "a.pth").stat().st_size < 2**20
        assert "compressed entry" in refused()

    @pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "a\\..\\x"])
    def test_entries_with_paths(self, tmp_path, refused, name):
        self.archive(tmp_path / "a.pth", ("a/data.pkl", self.GOOD_PICKLE), ("a/data/0", FOUR), (name, b""))
        assert "a path out of it" in refused()

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_two_entries_of_one_name(self, tmp_path, refused):
        self.archive(tmp_path / "a.pth", ("a/data.pkl", self.GOOD_PICKLE), ("a/data/0", FOUR), ("a/data/0", FOUR))
        assert "two entries" in refused()

    def test_no_pickle_or_two(self, tmp_path, refused):
        self.archive(tmp_path / "a.pth", ("a/data/0", FOUR))
        assert "0 files data.pkl" in refused()
        self.archive(tmp_path / "a.pth", ("a/data.pkl", self.GOOD_PICKLE), ("b/data.pkl", self.GOOD_PICKLE))
        assert "2 files data.pkl" in refused()

    def test_another_order_of_bytes(self, tmp_path, refused):
        self.archive(tmp_path / "a.pth", ("a/data.pkl", self.GOOD_PICKLE), ("a/byteorder", b"big"))
        assert "big-endian" in refused()

    def test_entries_that_share_their_bytes(self, tmp_path, refused):
        """Each entry of the directory may point to the same bytes."""
        write_zip(tmp_path / "a.pth", self.GOOD_PICKLE, [bytes(100_000)])
        content = bytearray((tmp_path / "a.pth").read_bytes())
        end = content.rindex(b"PK\5\6")
        start = struct.unpack_from("<I", content, end + 16)[0]
        entries = bytes(content[start:end])
        place = entries.index(b"archive/data/0") - 46
        entry = entries[place : place + 46 + len("archive/data/0")]
        copies = b"".join(entry[:46] + b"archive/data/" + bytes([0x41 + n]) for n in range(20))
        count = struct.unpack_from("<H", content, end + 8)[0] + 20
        content[start:end] = entries + copies
        struct.pack_into("<HHI", content, len(content) - 14, count, count, len(entries) + len(copies))
        assert "its archive claims 2,1" in refused(bytes(content))

    def test_sizes_that_lie(self, tmp_path, refused):
        """An entry of the directory says 16 GiB, or less than is there."""
        write_zip(tmp_path / "a.pth", self.GOOD_PICKLE, [FOUR])
        good = (tmp_path / "a.pth").read_bytes()
        place = good.rindex(b"archive/data/0") - 46
        for compressed, full in ((2**32 - 2, 2**32 - 2), (16, 2**31), (4, 4), (0, 0)):
            content = bytearray(good)
            struct.pack_into("<II", content, place + 20, compressed, full)
            refused(bytes(content))


class TestSafetensors:
    """Headers that lie."""

    @staticmethod
    def entry(shape=(4,), dtype="F32", offsets=(0, 16)):
        return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}

    @pytest.mark.parametrize("length", [17, 10**6, 10**18, 2**63, 2**64 - 1])
    def test_the_headers_length(self, refused, length):
        assert "its header claims" in refused(struct.pack("<Q", length) + b"{" + bytes(15))

    @pytest.mark.parametrize(
        "entry, says",
        [
            ({"shape": [2**40], "offsets": [0, 2**42]}, "its tensors need 4,398,046,511,104 bytes"),
            ({"shape": [2**40]}, "needs 4,398,046,511,104 bytes; its data_offsets are 0 and 16"),
            ({"shape": [3]}, "needs 12 bytes"),
            ({"shape": [2**62, 2**62, 2**62]}, "its data_offsets"),
            ({"shape": [-4]}, "'-4' is not a size"),
            ({"shape": [4.0]}, "'4.0' is not a size"),
            ({"shape": ["4"]}, "without a dtype, a shape"),
            ({"shape": [1] * 100_000}, "without a dtype, a shape"),
            ({"shape": [True, 4]}, "without a dtype, a shape"),
            ({"dtype": "F64"}, "needs 32 bytes"),
            ({"dtype": "F8_E4M3"}, "has the type 'F8_E4M3'; it must be F64"),
            ({"dtype": ["F32"]}, "without a dtype"),
            ({"offsets": [16, 32]}, "begins at byte 16"),
            ({"offsets": [16, 0]}, "its data_offsets are 16 and 0"),
            ({"offsets": [0]}, "two data_offsets"),
            ({"offsets": [10**18, 10**18 + 16]}, "begins at byte 1,000,000,000,000,000,000"),
        ],
    )
    def test_an_entry(self, refused, entry, says):
        assert says in refused(safetensors_bytes({"a": self.entry(**entry)}, FOUR))

    def test_overlaps_gaps_and_rests(self, refused):
        for second, says in (
            ((8, 24), "'b' begins at byte 8 of the data, and the tensor before it ends at 16"),
            ((0, 16), "begins at byte 0"),
            ((20, 36), "begins at byte 20"),
        ):
            header = {"a": self.entry(), "b": self.entry(offsets=second)}
            assert says in refused(safetensors_bytes(header, FOUR * 2))
        assert "need 16 bytes, and the file has 32" in refused(safetensors_bytes({"a": self.entry()}, FOUR * 2))

    @pytest.mark.parametrize(
        "header, says",
        [
            (b'{"a": 1, "a": 2}', "'a' is there twice"),
            (b'{"a": "\xff\xfe"}', "not what the format says"),
            (b'{"a": ' + b"[" * 500_000, "not what the format says"),
            (b'{"a": ' + b"9" * 900_000 + b"}", "is not a size"),
            (b'{"a": NaN}', "'NaN' is not a size"),
            (b'{"a": 1e999}', "is not a size"),
            (b'{"a"', "not what the format says"),
            (b'{"a": []}', "without a dtype"),
            (b'{"a": null}', "without a dtype"),
            (b"{}", "fit no network"),
        ],
    )
    def test_the_header(self, refused, header, says):
        assert says in refused(safetensors_bytes(header))

    def test_a_length_that_looks_like_another_format(self, refused):
        """The first byte of a header of 128 bytes is that of a pickle."""
        header = json.dumps({"a": self.entry()}).encode().ljust(128)
        assert "('a', …) fit no network" in refused(safetensors_bytes(header, FOUR))

    def test_many_names(self, refused):
        """The time is not that of the square of their number."""
        header = {f"{index}": self.entry(shape=[0], offsets=[0, 0]) for index in range(15_000)}
        assert len(json.dumps(header)) < 2**20
        assert "fit no network" in refused(safetensors_bytes(header))


@pytest.mark.parametrize("write", [write_pth, write_legacy, write_safetensors])
def test_files_that_are_cut_short(tmp_path, refused, write):
    whole = write(tmp_path / "a.pth", ARRAYS).read_bytes()
    for size in sorted({*range(0, len(whole), 37), *range(len(whole) - 40, len(whole))}):
        assert "has the shape (2, 3)" not in refused(whole[:size])


@pytest.mark.parametrize("write", [write_pth, write_legacy, write_safetensors])
def test_damaged_bytes(tmp_path, refused, write):
    whole = write(tmp_path / "a.pth", ARRAYS).read_bytes()
    random = np.random.RandomState(3)
    for _ in range(300):
        content = bytearray(whole)
        for place in random.randint(len(whole), size=random.randint(1, 4)):
            content[place] = random.randint(256)
        refused(bytes(content))


def test_random_bytes(refused):
    random = np.random.RandomState(4)
    for start in (b"", b"PK\x03\x04", b"\x80\x02", b"\x50\0\0\0\0\0\0\0{", b"\x89HDF\r\n\x1a\n"):
        for _ in range(40):
            refused(start + random.bytes(random.randint(200)))


def test_paths_that_are_not_files(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path, says in (
        (tmp_path / "nothing.pth", "No such file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "fifo", "not a file but a device"),
        ("a\0b", "null"),
        ("/dev/zero", "not a file but a device"),
    ):
        with pytest.raises(WeightsError, match=says):
            import_model(path, tmp_path / "net")


def test_a_whole_module_is_refused_by_the_name_of_its_class(refused_pickle):
    """torch.save(module) instead of torch.save(module.state_dict())."""
    module = b"ctorchvision.models.googlenet\nGoogLeNet\n)\x81}" + text("training") + b"\x89sb"
    assert "'torchvision.models.googlenet.GoogLeNet'" in refused_pickle(b"\x80\x02" + module + b".")


def test_a_dictionary_of_python_2(tmp_path, refused):
    """It wrote its ordered dictionary as a list of pairs, and its texts as bytes."""

    def old_text(value):
        return b"U" + bytes([len(value)]) + value.encode()

    values = [tensor(str(key), each.size, each.shape, legacy=True) for key, each in enumerate(ARRAYS.values())]
    pairs = b"".join(b"](" + old_text(name) + value + b"e" for name, value in zip(ARRAYS, values))
    content = b"\x80\x02ccollections\nOrderedDict\n](" + pairs + b"e\x85R."
    assert "has the shape (2, 3)" in refused(
        legacy_bytes(content, [(each.size, each.tobytes()) for each in ARRAYS.values()])
    )


def test_a_checkpoint_without_a_state_dict(tmp_path, refused):
    for content in (b"\x80\x02N.", b"\x80\x02" + number(1) + b".", b"\x80\x02](" + GOOD + b"e."):
        write_zip(tmp_path / "a.pth", content, [FOUR])
        assert "holds no state dict" in refused()
    write_zip(tmp_path / "a.pth", pickle_of_arrays({}), [])
    assert "(none, …) fit no network" in refused()
