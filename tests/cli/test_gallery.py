"""`deepdream gallery`, which goes on after a failure or a kill."""

import os
import signal
import subprocess
import sys
import time

import pytest
from helpers import SMALL_RECIPE, read_folder, without_device

import deepdream as dd
from deepdream import Recipe, cli
from deepdream.recipes.gallery import make_gallery
from deepdream.recipes.gallery_file import read_gallery


def test_a_folder_whose_links_go_in_a_loop(gallery_toml, tmp_path, capfd):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SystemExit) as end:
        cli.main(["gallery", str(gallery_toml), "-o", str(tmp_path / "loop")])
    said = capfd.readouterr().err
    assert (end.value.code, said.count("\n")) == (2, 1), said
    assert f"deepdream: -o {tmp_path / 'loop'} cannot be reached, because its symbolic links go round in a loop" in said


@pytest.mark.usefixtures("squeezenet_file")
def test_what_fails_does_not_stop_the_others(gallery_toml, tmp_path, capfd):
    out = tmp_path / "out"

    def run():
        with pytest.raises(SystemExit) as done:
            cli.main(["gallery", str(gallery_toml), "-o", str(out)])
        printed, said = capfd.readouterr()
        return done.value.code, printed, without_device(said)

    code, printed, err = run()
    assert code == 2
    assert printed.splitlines() == [str(out / "first.png"), str(out / "third.png")]
    assert err.splitlines()[0].startswith("second could not be made: the image nowhere.png")
    assert err.splitlines()[-1] == f"2 made, 0 already there, 1 failed; the page is {out / 'index.html'}"
    assert Recipe.from_image(out / "first.png").input_sha256
    before = (out / "first.png").stat().st_mtime_ns
    code, printed, err = run()
    assert err.splitlines()[-1].startswith("0 made, 2 already there, 1 failed")
    assert (out / "first.png").stat().st_mtime_ns == before


def test_a_name_too_long_for_a_file_does_not_stop_the_others(gallery_toml, tmp_path, capfd):
    gallery_toml.write_text(gallery_toml.read_text().replace("nowhere.png", "x" * 300))
    with pytest.raises(SystemExit) as done:
        cli.main(["gallery", str(gallery_toml), "-o", str(tmp_path / "out")])
    _, said = capfd.readouterr()
    assert done.value.code == 2
    assert "second could not be made: the image xxx" in said and "File name too long" in said
    assert "2 made, 0 already there, 1 failed" in said


@pytest.mark.usefixtures("squeezenet_file")
def test_killed_at_any_moment_it_goes_on(tmp_path):
    """Each time it is killed somewhere else; no picture is ever half there, none that is there is made again."""
    gallery_toml = tmp_path / "g.toml"
    gallery_toml.write_text(
        "".join(
            f'[[picture]]\nname = "n{i}"\nseed = {i}\n'
            + "".join(f"{key} = {value!r}\n" for key, value in SMALL_RECIPE.items())
            for i in range(12)
        ),
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "deepdream", "gallery", str(gallery_toml), "-o", str(tmp_path / "out")]
    made = {}
    for wait in (0.0, 0.05, 0.2):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        process.stdout.readline()  # it has made, or found, one
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        there = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("n*.png")}
        assert all(there[name] == time_made for name, time_made in made.items())
        for name in there:
            assert dd.read_image(tmp_path / "out" / name).shape == (43, 64, 3)
        made = there
    assert len(made) > 0
    outcomes = list(make_gallery(read_gallery(gallery_toml), tmp_path / "out"))
    assert sum(outcome.made for outcome in outcomes) == 12 - len(made)
    assert len(read_folder(tmp_path / "out")) == 12
