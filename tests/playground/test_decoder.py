"""The process that decodes a visitor's image."""

import io
import json
import resource
import subprocess
import sys

import pytest
from helpers import png_bytes
from PIL import Image

from deepdream.data import clouds
from deepdream.errors import ImageError
from deepdream.io import metadata
from deepdream.io.image import write_image
from deepdream.playground import decoder
from deepdream.playground.decoder import Decoding, answer, decode
from deepdream.playground.uploads import Picture
from deepdream.recipes.recipe import Recipe


def bomb(mode="1", side=6300):
    file = io.BytesIO()
    Image.new(mode, (side, side)).save(file, "PNG")
    return file.getvalue()


def child(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, env=decoder.child_environment(), check=True, text=True).stdout


class TestDecoding:
    def test_it_gives_what_decode_gives(self, photo):
        picture = Picture("holiday.png", photo)
        assert Decoding(picture, 100, 50).result() == decode(picture, 100, 50)

    def test_a_recipe_comes_along(self, tmp_path):
        recipe = Recipe(input="cat", model="m", seed=7)
        write_image(tmp_path / "a.png", clouds.clouds(40, 60, seed=1), recipe)
        decoded = Decoding(Picture("a.png", (tmp_path / "a.png").read_bytes()), 30, 30).result()
        assert Recipe.from_json(decoded.text) == recipe
        assert (decoded.shape, decoded.fitted, Image.open(io.BytesIO(decoded.jpeg)).size) == (
            (40, 60),
            (20, 30),
            (30, 20),
        )

    def test_a_text_longer_than_ours_does_not(self, tmp_path, monkeypatch):
        class Long:
            def to_json(self):
                return "[" * 61_000

        monkeypatch.setattr(metadata, "MAX_TEXT_BYTES", 70_000)
        write_image(tmp_path / "a.png", clouds.clouds(40, 60, seed=1), Long())
        assert decode(Picture("a.png", (tmp_path / "a.png").read_bytes()), 30, 30).text is None

    @pytest.mark.parametrize(
        "data, says", [(b"text", "not an image"), (png_bytes(clouds.clouds(99, 99))[:999], "damaged")]
    )
    def test_what_is_wrong_with_the_image_is_said(self, data, says):
        with pytest.raises(ImageError, match=rf"a\.png is {says}"):
            Decoding(Picture("a.png", data), 100, 100).result()

    def test_a_cancelled_one_ends_at_once(self):
        decoding = Decoding(Picture("a.png", bomb()), 100, 100)
        decoding.cancel()
        with pytest.raises(ImageError, match="needs too much memory or time"):
            decoding.result()

    def test_one_that_takes_too_long_is_ended(self, monkeypatch):
        monkeypatch.setattr(decoder, "_TIMEOUT_S", 0.01)
        decoding = Decoding(Picture("a.png", bomb()), 100, 100)
        with pytest.raises(ImageError, match="needs too much memory or time"):
            decoding.result()
        assert decoding._process.returncode < 0


class TestLimits:
    def test_the_process_has_them(self):
        limits = child(
            "import resource; from deepdream.playground import decoder\n"
            "decoder.answer = lambda *_: print([resource.getrlimit(each) for each in (resource.RLIMIT_AS, "
            "resource.RLIMIT_CPU)])\n"
            "decoder.main()"
        )
        assert eval(limits) == [(decoder.MEMORY_BYTES,) * 2, (decoder.CPU_S,) * 2]

    @pytest.mark.parametrize("mode", ["1", "RGB"])
    def test_the_largest_image_fits_into_them(self, mode):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        decoded = Decoding(Picture("a.png", bomb(mode)), 1600, 1200).result()
        assert decoded.shape == (6300, 6300)
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        assert most == before or most < 500 * 1024  # KiB

    def test_one_that_does_not_is_refused_by_the_number(self, monkeypatch):
        out = child(
            "import io, json, sys; from deepdream.playground import decoder; from PIL import Image\n"
            "decoder.MEMORY_BYTES = 700 * 2**20\n"
            "file = io.BytesIO(); Image.new('1', (9000, 9000)).save(file, 'PNG')\n"
            "line = json.dumps(dict(name='a.png', side=9000, shown_side=100)).encode() + b'\\n'\n"
            "class Stdin: buffer = io.BytesIO(line + file.getvalue())\n"
            "sys.stdin = Stdin\n"
            "decoder.main()"
        )
        assert "a.png has 9000×9000 pixels and needs" in json.loads(out)["error"]


def test_answers_are_a_line_and_the_picture(photo):
    requests = io.BytesIO(b'{"name": "a.png", "side": 50, "shown_side": 20}\n' + photo)
    answers = io.BytesIO()
    answer(requests, answers)
    line, _, shown = answers.getvalue().partition(b"\n")
    assert json.loads(line) == {"shape": [96, 144], "fitted": [33, 50], "text": None}
    assert Image.open(io.BytesIO(shown)).size == (20, 13)
