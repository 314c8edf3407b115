"""A few single faults with every change, and that what they are put into is whole."""

import collections
import io
import json
import os
import random
import sys

import caffe
import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from PIL import Image

from fuzz import files, guided, layout, one_wrong, report, sandbox, seeds, single, whole_films, whole_pictures

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the sandbox needs Linux"),
    pytest.mark.skipif(not hasattr(caffe, "Error"), reason="another pycaffe ends the process where ours raises"),
]


def test_single_faults(tmp_path):
    counts, _, bad, _ = single.run(3 * len(single.KINDS), 2015, tmp_path, compare=False)
    assert bad == []
    assert set(counts) == set(single.KINDS)
    endings = sum(map(collections.Counter, counts.values()), collections.Counter())
    assert endings["done"] > 5 and endings["refused"] > 5, endings
    assert endings[single.EARLY] < sum(endings.values()) * 0.3, endings


def test_what_the_first_parser_takes_is_told_apart(tmp_path):
    whole = files.Seeds()
    png = whole.pictures["rgb.png"]
    with sandbox.Sandbox(tmp_path / "box") as box:
        assert single._taken(box, "png", "a.png", png[:-40])
        assert not single._taken(box, "png", "a.png", png[8:])
        assert single._taken(box, "prototxt", "a", b'name: "x"')
        assert not single._taken(box, "prototxt", "a", b"name: x y")
        for kind in single.KINDS:
            name, content = single.damaged_all_over(kind, random.Random(1), whole)
            assert name and content is not None
            name, _, given = single.case(kind, random.Random(1), whole)
            assert name in given["files"]


def test_whole_files_of_every_kind_are_taken(tmp_path):
    """Else nothing would be learnt from refusals."""
    whole = files.Seeds()
    with sandbox.Sandbox(tmp_path / "box") as box:
        for kind in layout.PICTURES:
            for number in range(2):
                content = whole_pictures.draw(random.Random(f"{kind} {number}"), kind)
                command = ["dream", f"a.{kind}", "-o", "out.png", *files.QUICK]
                found = box.run({**whole.model, f"a.{kind}": content}, command=command, writes=("out.png",))
                assert found.kind == "done", (kind, number, found)
        changes = collections.Counter()
        for number in range(8):
            suffix, change, content = whole_films.draw(random.Random(number))
            command = ["video", f"a.{suffix}", "out.mp4", *files.QUICK]
            found = box.run({**whole.model, f"a.{suffix}": content}, command=command, writes=("out.mp4",))
            assert found.kind == "done", (suffix, change, found)
            changes[change] += 1
        assert len(changes) >= 4
        for way in one_wrong.WAYS:
            definition, net = one_wrong.whole_weights(way, whole.weights, seeds.TINY)
            given = {"model/deploy.prototxt": definition.encode(), "model/tiny.caffemodel": net.SerializeToString()}
            command = ["dream", "photo.png", "-o", "out.png", *files.QUICK]
            found = box.run({**whole.model, **whole.photo, **given}, command=command, writes=("out.png",))
            assert found.kind == "done", (way, found)


@pytest.mark.parametrize("kind", layout.PICTURES)
def test_a_fault_is_in_one_field(kind):
    for number in range(40):
        rng = random.Random(number)
        content = whole_pictures.draw(rng, kind)
        found = layout.PICTURES[kind](content)
        assert len(found.fields) > 6
        assert all(field.start >= 0 and field.start + field.size <= len(content) for field in found.fields)
        field = rng.choice(found.fields)
        changed = layout.change_field(rng, content, field)
        assert len(changed) == len(content) and changed != content
        assert changed[: field.start] == content[: field.start]
        assert changed[field.start + field.size :] == content[field.start + field.size :]
        if kind == "png" and not field.name.endswith(".length"):
            mended = layout.png(layout.mend_png(changed, found, field))
            assert [each.start for each in mended.fields] or field.name.endswith(".name")


def test_the_checksum_of_a_changed_chunk_is_right_again():
    content = whole_pictures.draw(random.Random(5), "png")
    found = layout.png(content)
    width = next(field for field in found.fields if field.name == "IHDR.width")
    changed = content[: width.start] + (20).to_bytes(4, "big") + content[width.start + 4 :]
    with pytest.raises(Image.UnidentifiedImageError):
        Image.open(io.BytesIO(changed))
    assert Image.open(io.BytesIO(layout.mend_png(changed, found, width))).width == 20


def test_values_with_one_thing_wrong_are_still_json_and_toml():
    for number in range(300):
        rng = random.Random(number)
        fault, value = one_wrong.in_values(rng, seeds.recipe())
        assert fault and json.dumps(value) != json.dumps(seeds.recipe())
        fault, table = one_wrong.in_values(rng, seeds.gallery(), toml=True)
        try:
            assert repr(tomllib.loads(seeds.as_toml(table))) != repr(seeds.gallery()), fault
        except ValueError as error:
            assert str(error).startswith("Exceeds the limit"), (fault, error)


def test_definitions_with_one_thing_wrong_still_parse():
    text = seeds.definitions()["squeezenet_v1.1"]
    for number in range(60):
        net = text_format.Parse(text, caffe_pb2.NetParameter())
        assert one_wrong.in_definition(random.Random(number), net)
        again = text_format.Parse(text_format.MessageToString(net), caffe_pb2.NetParameter())
        assert text_format.MessageToString(again) == text_format.MessageToString(net)


def test_what_is_reached_is_counted(tmp_path, monkeypatch):
    pytest.importorskip("atheris")
    monkeypatch.setattr(guided, "COUNTED", ("model",))
    counts = guided.run(2, 1, tmp_path)
    assert list(counts) == ["model"]
    each = counts["model"]
    assert not each["failed"], each
    assert each["inputs"] > 0 and each["lines"] >= each["lines before"] > 200, each
    assert "| model |" in report._coverage({"counts": counts})


def test_an_input_that_fails_is_told(tmp_path, monkeypatch):
    pytest.importorskip("atheris")
    monkeypatch.setattr(guided, "COUNTED", ("mishap",))
    counts = guided.run(2, 1, tmp_path)
    assert "ZeroDivisionError" in counts["mishap"]["failed"]


def test_the_table_compares_single_faults_with_damage_all_over():
    counts = {"bmp": {"done": 6, "refused": 2, single.EARLY: 2}, "gif": {"done": 9, "signal": 1}}
    table = report._single({"counts": counts, "all over": {"bmp": 0.5, "gif": 0.25}, "memory": 2**20})
    assert "| bmp | 10 | 6 | 2 | 2 | 0 | 0 | 80% | 50% |" in table
    assert "| gif | 10 | 9 | 0 | 0 | 0 | 1 | 100% | 25% |" in table
    assert "| **all** | 20 | 15 | 2 | 2 | 0 | 1 | 90% | 38% |" in table
