"""`deepdream layers --try`: a dream at each layer, on one sheet."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image as Pillow

import deepdream as dd
from deepdream import Recipe
from deepdream.io.arrays import to_uint8
from deepdream.recipes import layer_trial
from deepdream.recipes.sheet import Cell, draw_sheet, write_sheet

QUICK = ["--model", "squeezenet_v1.1", "--max-size", 80]
LADDER = dd.find_model("squeezenet_v1.1").ladder


def images_of(page):
    encoded = re.findall(r'<figure><a href="#image-\d+"><img src="data:image/jpeg;base64,([^"]+)"', page)
    return [np.asarray(Pillow.open(io.BytesIO(base64.b64decode(each)))) for each in encoded]


@pytest.mark.usefixtures("squeezenet_file")
def test_a_page_shows_each_layer_s_dream(tmp_path, run, monkeypatch, squeezenet):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("layers", "--try", "cat", *QUICK, "-o", "sheet.html")
    assert code == 0, err
    assert out == f"{tmp_path / 'sheet.html'}\n"
    page = (tmp_path / "sheet.html").read_text()
    assert re.findall("<figcaption><b>(.*?)</b><span>(.*?)</span>", page) == [
        ("cat", "the image itself"),
        *LADDER.items(),
    ]
    shown = images_of(page)
    assert len(shown) == 1 + len(LADDER) and page.count('class="large"') == len(shown)
    img = dd.picture("cat", max_size=80)
    for image, layer in zip(shown, [None, *LADDER]):
        expected = img if layer is None else dd.deepdream(squeezenet, img, end=layer, seed=2015)
        assert np.abs(image - to_uint8(expected).astype(np.float32)).mean() < 6, layer  # JPEG's error
    assert list(tmp_path.iterdir()) == [tmp_path / "sheet.html"]


@pytest.mark.usefixtures("squeezenet_file")
def test_a_stopped_run_continues(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, made = layer_trial.make_gallery, []

    def stop_after_three(*arguments, **more):
        for outcome in make(*arguments, **more):
            made.append(outcome)
            yield outcome
            if len(made) == 3:
                raise KeyboardInterrupt

    monkeypatch.setattr(layer_trial, "make_gallery", stop_after_three)
    assert run("layers", "--try", "cat", *QUICK)[0] == 130
    kept = sorted((tmp_path / "layers.png.layers").glob("*.png"))
    assert [Recipe.from_image(path).end for path in kept] == list(LADDER)[:3]
    times = [path.stat().st_mtime_ns for path in kept]
    made.clear()
    monkeypatch.setattr(layer_trial, "make_gallery", make)
    outcomes = []
    monkeypatch.setattr(
        layer_trial,
        "make_gallery",
        lambda *a, **k: (outcomes.append((o.made, o.path.stat().st_mtime_ns)) or o for o in make(*a, **k)),
    )
    code, out, err = run("layers", "--try", "cat", *QUICK)
    assert (code, out) == (0, f"{tmp_path / 'layers.png'}\n"), err
    assert [made for made, _ in outcomes] == [False] * 3 + [True] * (len(LADDER) - 3)
    assert [time for _, time in outcomes[:3]] == times
    assert list(tmp_path.iterdir()) == [tmp_path / "layers.png"]


@pytest.mark.usefixtures("squeezenet_file")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--try", "no.png"], "no.png: no such file"),
        (["--try", "cat", "-o", "no/sheet.png"], "the folder no does not exist"),
        (["--try", "cat", "-o", "sheet.txt"], "sheet.txt"),
        (["--try", "photo.png", "-o", "photo.png"], "photo.png"),
        (["--try", "cat", "--max-size", 0], "--max-size 0: must be 1 or more"),
        (["--try", "cat", "--max-size", 8], "no layer could be dreamt at --max-size 8: "),
        (["--try", "cat", "-o", "sheet.gif"], "cannot write .gif; end the name in one of .png, .jpg, "),
        (["--try", "cat", "-o", "sheet.gif"], ", .html"),
    ],
)
def test_what_cannot_be_made_is_refused(tmp_path, run, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    dd.write_image("photo.png", dd.picture("cat")[:50, :50])
    code, _, err = run("layers", "--model", "squeezenet_v1.1", *arguments)
    assert code == 2 and message in err and len(err.splitlines()[-1]) <= 300
    assert "000-" not in err  # it names layers
    assert (
        not list(tmp_path.glob("*.layers"))
        and not (tmp_path / "sheet.txt").exists()
        and not (tmp_path / "layers.png").exists()
    )


def test_a_sheet_s_images_and_captions_are_in_their_places(tmp_path):
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    cells = [Cell(f"<{i}>", "ünï ✓ " * 30, np.full((60, 80, 3), colour, np.uint8)) for i, colour in enumerate(colours)]
    sheet = draw_sheet([*cells, Cell("none", "it failed", None)])
    for colour in colours:
        rows, columns = np.nonzero((sheet == colour).all(axis=2))
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (60, 80)
    assert (sheet.min(axis=2) < 128).any(axis=1).sum() > 3 * 60 / 2
    write_sheet(tmp_path / "sheet.html", "a <b>", cells)
    page = (tmp_path / "sheet.html").read_text()
    assert "<title>a &lt;b&gt;</title>" in page and "<b>&lt;1&gt;</b>" in page and "ünï ✓" in page
    write_sheet(tmp_path / "sheet.png", "", cells)
    assert np.array_equal(dd.read_image(tmp_path / "sheet.png"), draw_sheet(cells))


@pytest.mark.parametrize("count", range(1, 30))
def test_a_sheet_of_any_number_has_room_for_each(count):
    cell = Cell("a layer", "", np.full((10, 160, 3), 77, np.uint8))
    assert (draw_sheet([cell] * count) == 77).all(axis=2).sum() == count * 1600


@pytest.mark.usefixtures("squeezenet_file")
def test_two_at_once_do_not_mix_their_dreams(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make = layer_trial.make_gallery

    def try_another_meanwhile(*arguments, **more):
        for outcome in make(*arguments, **more):
            yield outcome
            monkeypatch.setattr(layer_trial, "make_gallery", make)
            code, _, err = run("layers", "--try", "coffee", *QUICK)
            assert code == 2 and "layers.png.layers: another process is using this folder; wait for it" in err

    monkeypatch.setattr(layer_trial, "make_gallery", try_another_meanwhile)
    assert run("layers", "--try", "cat", *QUICK)[0] == 0
    assert list(tmp_path.iterdir()) == [tmp_path / "layers.png"]
