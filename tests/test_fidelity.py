"""The comparison with dreams of other programs tells a dream of the same recipe from a picture that is none."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import deepdream as dd

SCRIPT = Path(__file__).resolve().parent.parent / "benchmarks" / "fidelity.py"


@pytest.fixture
def run(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fidelity", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        return done.value.code, capsys.readouterr().out

    return run


def rows(out):
    """{layer: (mean between our seeds, the undreamt picture, reference to our seeds)} of a printed table."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in out.splitlines() if line.startswith("| ")]
    return {row[0]: (float(row[1]), float(row[3]), float(row[4])) for row in cells if row[0] != "layer"}


def test_a_dream_of_another_seed_is_near_and_the_input_is_not(tmp_path, run, googlenet):
    recipe = dd.Recipe(input="cat", max_size=112, iter_n=4, octave_n=1, end="inception_3b/output", seed=7)
    img, made = recipe.make(net=googlenet)
    dd.write_image(tmp_path / "ours.png", img, recipe=made)
    dd.write_image(tmp_path / "input.png", recipe.fit(dd.picture("cat")))
    code, out = run(tmp_path / "ours.png", "--recipe", tmp_path / "ours.png", "-o", tmp_path / "table.md", "--seeds", 4)
    assert len(rows(out)) == 4
    for own, undreamt, reference in rows(out).values():
        assert reference < 1.5 * own
        assert reference < 0.7 * undreamt
    assert code == int("| differs |" in out)
    assert (tmp_path / "table.md").read_text(encoding="utf-8").strip() == out.strip()
    code, out = run(tmp_path / "input.png", "--recipe", tmp_path / "ours.png", "--seeds", 3)
    assert (code, out.count("| differs |")) == (1, 4)


def test_a_reference_vector_brings_its_own_recipe(tmp_path, run, googlenet):
    image = dd.picture("cat")[::6, ::6]
    settings = {"iter_n": 3, "octave_n": 1, "end": "inception_3b/5x5_reduce", "seed": 3}
    np.savez(tmp_path / "v.npz", input=image, output=dd.deepdream(googlenet, image, **settings), params=repr(settings))
    code, out = run(tmp_path / "v.npz", "--seeds", 4)
    assert all(reference < 1.5 * own for own, _, reference in rows(out).values()), out
    assert code == int("| differs |" in out)
    assert "### 76×50, iter_n 3, octave_n 1, end inception_3b/5x5_reduce, seed 3" in out
