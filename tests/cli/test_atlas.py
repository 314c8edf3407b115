"""`deepdream atlas` and `deepdream activations`."""

import re

import numpy as np
import pytest

import deepdream as dd
from deepdream import Recipe
from deepdream.channel_activity import heat_map
from deepdream.io.arrays import to_uint8
from deepdream.network.activations import layer_activations
from deepdream.recipes.atlas import strongest_pictures

ATLAS = ["fire6/concat", "--model", "squeezenet_v1.1", "--size", 64, "--iters", 2, "--channels", "3,250-252"]
NAMES = [f"fire6-concat-{n:04}.png" for n in (3, 250, 251, 252)]


@pytest.fixture
def folder(tmp_path, monkeypatch, squeezenet_file):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_atlas_has_each_channel_s_image_and_a_page(folder, run, squeezenet):
    code, out, err = run("atlas", *ATLAS, "-o", "atlas")
    assert (code, out) == (0, f"{folder / 'atlas' / 'fire6-concat.html'}\n"), err
    assert sorted(path.name for path in (folder / "atlas").iterdir()) == [*NAMES, "fire6-concat.html"]
    page = (folder / "atlas" / "fire6-concat.html").read_text()
    assert re.findall('<img src="(.*?)"', page) == NAMES
    about = dict(re.findall('data-channel="(.*?)" data-words="(.*?)"', page))
    assert list(about) == ["3", "250", "251", "252"]
    strongest = strongest_pictures(squeezenet, "fire6/concat")
    for name, channel in zip(NAMES, (3, 250, 251, 252)):
        img = dd.read_image(folder / "atlas" / name)
        expected = dd.channel_picture(squeezenet, channel, "fire6/concat", size=64, seed=2015, iter_n=2)
        assert np.array_equal(img, to_uint8(expected))
        label = dd.classify(squeezenet, img, top=1)[0][0].partition(",")[0]
        assert about[str(channel)] == f"{label}; {strongest[channel]}".lower()


def test_an_atlas_continues_and_is_made_again(folder, run):
    run("atlas", *ATLAS, "-o", "atlas")
    before = {name: (folder / "atlas" / name).stat().st_mtime_ns for name in NAMES}
    (folder / "atlas" / NAMES[2]).unlink()
    page = (folder / "atlas" / "fire6-concat.html").read_text()
    code, _, err = run("atlas", *ATLAS, "-o", "atlas")
    assert code == 0 and "1 made, 3 already there, 0 failed" in err
    after = {name: (folder / "atlas" / name).stat().st_mtime_ns for name in NAMES}
    assert [before[name] == after[name] for name in NAMES] == [True, True, False, True]
    assert (folder / "atlas" / "fire6-concat.html").read_text() == page
    assert Recipe.from_image(folder / "atlas" / NAMES[0]).kind == "channel"
    code, _, err = run("replay", f"atlas/{NAMES[0]}", "-o", "again.png")
    assert (code, err) == (0, f"every pixel is the same as in atlas/{NAMES[0]}\n")


def test_an_atlas_is_not_mixed_with_one_of_other_settings(folder, run):
    run("atlas", *ATLAS, "-o", "atlas")
    before = {path: path.stat().st_mtime_ns for path in (folder / "atlas").iterdir()}
    for option, value, words in (
        ("--size", 72, "64 and not 72"),
        ("--iters", 3, "2 and not 3"),
        ("--seed", 1, "2015 and"),
    ):
        code, _, err = run("atlas", *ATLAS, option, value, "-o", "atlas")
        assert code == 2 and f"-o atlas holds an atlas of fire6/concat with {option} {words}" in err
    assert {path: path.stat().st_mtime_ns for path in (folder / "atlas").iterdir()} == before


def test_the_page_keeps_the_channels_that_were_made_before(folder, run):
    run("atlas", *ATLAS, "-o", "atlas")
    whole = (folder / "atlas" / "fire6-concat.html").read_text()
    (folder / "atlas" / "fire6-concat-0009.png").write_text("not an image of an atlas")
    for channels in ("252", "5"):
        code, _, err = run("atlas", *ATLAS[:-1], channels, "-o", "atlas")
        assert code == 0, err
        page = (folder / "atlas" / "fire6-concat.html").read_text()
        if channels == "252":
            assert page == whole
    assert re.findall('<img src="(.*?)"', page) == [NAMES[0], "fire6-concat-0005.png", *NAMES[1:]]
    assert "; strongest" in dict(re.findall('data-channel="(.*?)" data-words="(.*?)"', page))["250"]


def test_other_channels_are_not_made_with_other_settings(folder, run):
    run("atlas", *ATLAS, "-o", "atlas")
    code, _, err = run("atlas", *ATLAS[:-1], "7", "--size", 72, "-o", "atlas")
    assert code == 2 and "-o atlas holds an atlas of fire6/concat with --size 64 and not 72" in err
    assert not (folder / "atlas" / "fire6-concat-0007.png").exists()


def test_the_sheet_says_which_images_the_atlas_lacks(folder, run):
    run("atlas", *ATLAS, "-o", "an atlas")
    options = ["--model", "squeezenet_v1.1", "--end", "fire6/concat", "--max-size", 160, "--atlas", "an atlas"]
    code, out, err = run("activations", "cat", *options, "--top", 2, "-o", "sheet.html")
    missing = ",".join(sorted((row.split()[0] for row in out.splitlines()[1:3]), key=int))
    command = f"deepdream atlas fire6/concat --model squeezenet_v1.1 --channels {missing} -o 'an atlas'"
    assert (code, err) == (0, f"--atlas an atlas lacks 2 images of these channels; to make them: {command}\n")
    code, _, err = run("activations", "cat", *options, "--top", 384, "-o", "sheet.html")
    assert code == 0 and "lacks 380 images of these channels" in err and "--channels" not in err


def test_the_sheet_wants_the_atlas_of_its_layer(folder, run):
    run("atlas", *ATLAS, "-o", "atlas")
    options = ["--model", "squeezenet_v1.1", "--max-size", 160, "-o", "sheet.html"]
    code, _, err = run("activations", "cat", *options, "--end", "fire4/concat", "--atlas", "atlas")
    assert (
        code == 2 and "no images of the channels of fire4/concat; make them with: deepdream atlas fire4/concat" in err
    )
    code, _, err = run("activations", "cat", *options, "--end", "fire4/concat", "--atlas", "no")
    assert code == 2 and "--atlas no is not a folder; make one with: deepdream atlas fire4/concat -o no" in err
    code, _, err = run("activations", "cat", *options[:-1], "sheet.gif")
    assert code == 2 and "end the name in one of .png" in err and ".html" in err
    assert not (folder / "sheet.html").exists()


def test_the_strongest_pictures_are_those_with_the_largest_activation(squeezenet):
    names = ("cat", "face", "coffee", "rocket", "clouds")
    peaks = np.array(
        [
            layer_activations(squeezenet, dd.picture(name, max_size=320), "fire6/concat").max(axis=(1, 2))
            for name in names
        ]
    )
    for channel, text in list(enumerate(strongest_pictures(squeezenet, "fire6/concat")))[::17]:
        found = re.findall(r"(\w+) \(", text.removeprefix("strongest in "))
        ranked = [names[i] for i in np.argsort(-peaks[:, channel], kind="stable")[:2] if peaks[i, channel] > 0]
        assert found == ranked, channel


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        *((each, "it must be a list of numbers from 0, as in --channels 0-63,90") for each in ("x", "-4", "1,,2", "²")),
        ("", "--channels '': it must be a list"),
        ("5,3-1", "--channels 5,3-1: 3-1 ends before it begins; write 1-3"),
        ("1-99999999", "--channels 1-99999999: 1-99999999 are more than 65536 channels, which no layer has"),
    ],
)
def test_a_list_of_channels_is_checked(folder, run, channels, message):
    code, _, err = run("atlas", *ATLAS[:-1], channels, "-o", "atlas")
    assert code == 2 and message in err
    assert not (folder / "atlas").exists()


def test_what_the_network_lacks_is_refused(folder, run):
    code, _, err = run("atlas", *ATLAS[:-1], "384", "-o", "atlas")
    assert code == 2 and "there is no channel 384: 'fire6/concat' has 384 channels, 0 to 383" in err
    code, _, err = run("atlas", "fire6/conca", *ATLAS[1:], "-o", "atlas")
    assert code == 2 and "fire6/concat" in err
    (folder / "file").write_text("")
    code, _, err = run("atlas", *ATLAS, "-o", "file")
    assert code == 2 and "-o file" in err
    assert not (folder / "atlas").exists()


# Which channels an image lights up


def test_the_strongest_channels_come_first(squeezenet):
    img = dd.picture("cat", max_size=160)
    values = layer_activations(squeezenet, img, "fire6/concat")
    found = dd.active_channels(squeezenet, img, "fire6/concat", top=7)
    means = values.mean(axis=(1, 2), dtype=np.float64)
    assert [each.channel for each in found] == np.argsort(-means)[:7].tolist()
    for each in found:
        assert np.array_equal(each.map, values[each.channel])
        assert (each.value, each.peak) == (means[each.channel], values[each.channel].max())
        rows, columns = each.map.shape
        y, x = each.y * rows // img.shape[0], each.x * columns // img.shape[1]
        assert each.map[y, x] == each.peak
    corner = dd.active_channels(squeezenet, img, "fire6/concat", at=(159, 0), top=3)
    assert [each.value for each in corner] == sorted(values[:, 0, -1], reverse=True)[:3]
    assert dd.active_channels(squeezenet, img, "pool10", top=1)[0].map.shape == (1, 1)


def test_the_command_prints_them_and_draws_where(folder, run, squeezenet):
    run("atlas", *ATLAS, "-o", "atlas")
    options = ["--model", "squeezenet_v1.1", "--end", "fire6/concat", "--at", "60,40", "--max-size", 160]
    code, out, err = run("activations", "cat", *options, "--top", 384, "--atlas", "atlas", "-o", "sheet.html")
    assert code == 0, err
    head, *rows, path = out.splitlines()
    assert head == "fire6/concat: channel, at 60,40, largest, where" and path == str(folder / "sheet.html")
    img = dd.picture("cat", max_size=160)
    found = dd.active_channels(squeezenet, img, "fire6/concat", (60, 40), 384)
    assert [int(row.split()[0]) for row in rows] == [each.channel for each in found]
    assert rows[0].split()[-1] == f"{found[0].x},{found[0].y}"
    assert (folder / "sheet.html").read_text().count("<figure>") == 385


def test_a_heat_map_glows_where_a_channel_responds():
    img = np.full((40, 60, 3), (200, 100, 50), np.float32)
    activity = np.zeros((4, 6), np.float32)
    activity[1, 4] = 3
    shown = heat_map(img, activity)
    assert np.abs(shown[15, 45] - img[15, 45]).max() < 25
    assert len(set(shown[35, 5].tolist())) == 1 and shown[35, 5, 0] < 60
    assert (heat_map(img, np.zeros((4, 6), np.float32)) == shown[35, 5]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--at", "5"], "--at 5: it must be two whole numbers of pixels, from 0"),
        (["--at", "5,451"], "y=451 is outside of the image, which has 451×300 pixels"),
        (["--top", 0], "--top 0: must be 1 or more"),
        (["--atlas", "no"], "--atlas no"),
        (["--atlas", "."], "--atlas shows its images on the sheet"),
        (["-o", "sheet.txt"], "sheet.txt"),
        (["--end", "fire6/conca"], "fire6/concat"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_other_input_is_refused(run, arguments, message):
    code, _, err = run("activations", "cat", "--model", "squeezenet_v1.1", *arguments)
    assert code == 2 and message in err and len(err.splitlines()[-1]) <= 300
