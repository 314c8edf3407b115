"""The notebooks: every one runs from a clean kernel, and what is committed is what may be shown."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import deepdream as dd
from deepdream.data import bundled

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"


def _load_execute():
    spec = importlib.util.spec_from_file_location("execute", FOLDER / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


execute = _load_execute()
PATHS = execute.notebooks()
each_notebook = pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])


def run(*arguments):
    """`notebooks/execute.py` as a command of its own."""
    return subprocess.run([sys.executable, FOLDER / "execute.py", *arguments], capture_output=True, text=True)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_six():
    assert [path.name[:2] for path in PATHS] == ["01", "02", "03", "04", "05", "06"]


@each_notebook
def test_runs_from_a_clean_kernel(path, squeezenet_file):
    """At smoke size, with the network that needs no download site; its asserts hold, and it says no warning."""
    before = path.read_bytes()
    done = run("--smoke", path)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == before


# What a reader is invited to try: (notebook, {what stands there: what is tried}). Every change tries one of each.
INVITED = [
    ("01", {"step_size=1.5, jitter=32": "step_size=3, jitter=0", "SEED, PICTURE = 2015": "SEED, PICTURE = 7"}),
    ("01", {"sky = scaled(dd.picture(PICTURE), WIDTH)": 'sky = dd.picture("noise:160x90")'}),
    ("01", {"    blob.diff[...] = blob.data": "    blob.diff[...] = 0\n    blob.diff[0, 7] = blob.data[0, 7]"}),
    ("01", {'DEEP, SHALLOW, GUIDED = "fire8/concat"': 'DEEP, SHALLOW, GUIDED = "fire6/concat"'}),
    ("02", {"    slope = slope_at(dream)": "    slope = (5 - price_of(dream)) * slope_at(dream)", "rng(21)": "rng(3)"}),
    ("02", {"[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]": "[[1, 2, 1], [2, 4, 2], [1, 2, 1]]", "rng(21)": "rng(10)"}),
    ("02", {"[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]": "[[1, -1, 1], [-1, 1, -1], [1, -1, 1]]", "rng(21)": "rng(11)"}),
    ("02", {"goldfish, Carassius auratus": "banana"}),
    ("03", {"SCALE, STEP, JITTER, SEED, PICTURE = 1.4, 1.5, 32": "SCALE, STEP, JITTER, SEED, PICTURE = 2, 6, 4"}),
    ("03", {"SCALE, STEP, JITTER, SEED, PICTURE = 1.4": "SCALE, STEP, JITTER, SEED, PICTURE = 1.2"}),
    ("03", {'2015, "clouds"': '2015, "face"', 'END, LADDER = "fire8/concat"': 'END, LADDER = "fire4/concat"'}),
    ("04", {"dd.channels(channel)": 'dd.label(net, "starfish")', "end=layer, jitter=16": "jitter=16"}),
    ("04", {'2015, "clouds"': '2015, "rocket"'}),
    ("05", {'SHALLOW, DEEP = "fire5/concat"': 'SHALLOW, DEEP = "fire6/concat"', "2015, ": "3, "}),
    ("05", {"landscape = scaled(dd.picture(PICTURE)": 'landscape = scaled(dd.picture("cat")'}),
    ("06", {'PICTURE, CLOSER = 2015, "clouds", 0.06': 'PICTURE, CLOSER = 2015, "face", -0.03'}),
    ("06", {'END, BRANCH = "fire8/concat"': 'END, BRANCH = "fire2/concat"'}),
]
_OFTEN = [next(i for i, (name, _) in enumerate(INVITED) if name == path.name[:2]) for path in PATHS]


@pytest.mark.parametrize(
    "name, changes",
    [
        pytest.param(*each, id=f"{each[0]}-{number}", marks=() if number in _OFTEN else pytest.mark.slow)
        for number, each in enumerate(INVITED)
    ],
)
def test_what_a_reader_is_invited_to_try_ends_in_no_error(tmp_path, monkeypatch, squeezenet_file, name, changes):
    """A claim that does not hold is said in a sentence."""
    path = next(path for path in PATHS if path.name.startswith(name))
    notebook = read(path)
    for old, new in changes.items():
        cells = [cell for cell in code_cells(notebook) if old in cell.source]
        assert cells, old
        for cell in cells:
            cell.source = cell.source.replace(old, new)
    nbformat.write(notebook, tmp_path / path.name)
    monkeypatch.setenv("DEEPDREAM_SMOKE", "1")
    monkeypatch.setenv("DEEPDREAM_STRICT", "0")
    execute.execute(tmp_path / path.name, strict=False)


def test_a_wrong_name_of_a_layer_is_answered_with_the_closest(monkeypatch, squeezenet_file):
    monkeypatch.setenv("DEEPDREAM_SMOKE", "1")
    source = code_cells(read(PATHS[0]))[0].source.replace('GUIDED = "fire8/concat"', 'GUIDED = "fire8/conca"')
    with pytest.raises(dd.LayerError, match="fire8/concat"):
        exec(source, {})


def test_every_claim_is_a_sentence_that_is_checked():
    """No bare assert: it would answer a reader's experiment with an AssertionError."""
    claims = 0
    for path in PATHS:
        for cell in code_cells(read(path)):
            tree = ast.parse(cell.source)
            inside = set()
            for node in ast.walk(tree):
                if isinstance(node, ast.With) and ast.unparse(node.items[0].context_expr.func) == "claim":
                    sentence = node.items[0].context_expr.args[0].value
                    assert sentence[0].isupper() and sentence.endswith("."), sentence
                    found = {each for each in ast.walk(node) if isinstance(each, ast.Assert)}
                    assert found, sentence
                    inside |= found
                    claims += 1
            assert {node for node in ast.walk(tree) if isinstance(node, ast.Assert)} == inside, cell.source
    assert claims > 30


@each_notebook
def test_what_is_committed_may_be_shown(path):
    notebook = read(path)
    assert execute.problems(notebook) == []
    kinds = [kind for cell in code_cells(notebook) for output in cell.outputs for kind in output.get("data", {})]
    assert sum(kind in ("image/jpeg", "image/png") for kind in kinds) >= 4


@each_notebook
def test_metadata_is_stripped(path):
    notebook = read(path)
    stripped = execute.strip(read(path))
    assert notebook == stripped
    assert path.read_text(encoding="utf-8") == nbformat.writes(stripped, indent=1) + "\n"


@each_notebook
def test_prose_comes_first(path):
    """It begins with what one will see and ends with what to try; no three cells of code without a word."""
    cells = read(path).cells
    assert cells[0].source.startswith(f"# {int(path.name[:2])} · ")
    assert "**What you will see.**" in cells[0].source
    assert "## What to try next" in cells[-1].source
    kinds = [cell.cell_type for cell in cells]
    assert all(kinds[i : i + 3] != ["code"] * 3 for i in range(len(kinds)))


@each_notebook
def test_links_lead_somewhere(path):
    for cell in read(path).cells:
        for target in [part.split(")")[0] for part in cell.source.split("](")[1:] if cell.cell_type == "markdown"]:
            assert target.startswith("http") or (FOLDER / target).is_file(), target


@each_notebook
def test_the_head_says_what_the_index_says(path):
    """Level, reading time and prerequisites."""
    index = (FOLDER.parent / "docs" / "notebooks.md").read_text(encoding="utf-8")
    row = next(line for line in index.splitlines() if f"](../notebooks/{path.name})" in line and line.count("|") == 6)
    level, minutes, need = (cell.strip() for cell in row.split("|")[3:6])
    head = " ".join(read(path).cells[0].source.split("\n\n")[1].split())
    said = f"**Level:** {level} · **Reading time:** {minutes} · **You need:** {need}."
    assert head.lower() == said.lower()


@each_notebook
def test_it_ends_with_further_reading_elsewhere(path):
    last = read(path).cells[-1].source
    assert "](https://" in last.partition("## Further reading\n")[2]


@each_notebook
def test_shows_none_of_the_pictures_of_2015(path):
    """They are not ours to pass on: no cell dreams upon Google's sky, and the flowers guide but are not shown."""
    for cell in code_cells(read(path)):
        assert '"sky"' not in cell.source and "sky1024px" not in cell.source
        for call in re.findall(r"\b(?:show|animate)\((.*?)(?:captions|alt|$)", cell.source, re.DOTALL):
            assert not re.search(r"\b(?:flowers|guide)\b", call), call


def test_all_of_them_are_small():
    assert sum(path.stat().st_size for path in PATHS) < 8_000_000


@each_notebook
def test_without_the_weights_of_2015(path, squeezenet, monkeypatch, capsys):
    """The parameters cell alone decides: it says so, and names layers that the other network has."""

    def load(name):
        if name == "bvlc_googlenet":
            raise dd.WeightsError("no weights today")
        return squeezenet

    def release_file(name):
        raise dd.ImageError("no pictures today")

    monkeypatch.delenv("DEEPDREAM_SMOKE", raising=False)
    monkeypatch.setattr(dd, "load", load)
    monkeypatch.setattr(bundled, "release_file", release_file)
    names = {}
    exec(code_cells(read(path))[0].source, names)
    assert "SqueezeNet instead of GoogLeNet: no weights today" in capsys.readouterr().out
    assert names["net"] is squeezenet
    layers = [value for value in names.values() if isinstance(value, str) and value.startswith("fire")]
    layers += [layer for value in names.values() if isinstance(value, (list, dict)) for layer in value]
    known = [layer for layer in layers if layer in squeezenet.dreamable]
    assert known and not [layer for layer in layers if "inception" in str(layer)]


def test_a_cell_that_fails_fails(tmp_path):
    path = tmp_path / "bad.ipynb"
    bad = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("assert 1 == 2, 'not equal'")])
    nbformat.write(bad, path)
    before = path.read_bytes()
    done = run(path)
    assert done.returncode == 1
    assert "not equal" in done.stderr
    assert path.read_bytes() == before


def test_a_cell_that_warns_fails(tmp_path):
    path = tmp_path / "warns.ipynb"
    warns = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import warnings; warnings.warn('too old')")])
    nbformat.write(warns, path)
    done = run(path)
    assert done.returncode == 1
    assert "wrote a warning" in done.stderr and "too old" in done.stderr


def test_running_keeps_what_is_shown(tmp_path):
    """The outputs land in the file, everything else that a run leaves does not; --check then finds no difference."""
    path = tmp_path / "good.ipynb"
    cell = nbformat.v4.new_code_cell("print(6 * 7)", metadata={"tags": ["x"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"author": "somebody"}), path)
    assert run(path).returncode == 0
    done = read(path)
    assert code_cells(done)[0].outputs[0].text == "42\n"
    assert done == execute.strip(read(path)) and "author" not in done.metadata
    assert run("--check", path).returncode == 0
    path.write_text(path.read_text(encoding="utf-8").replace("42", "43"), encoding="utf-8")
    other = run("--check", path)
    assert other.returncode == 1 and "the outputs of cell 1 are not those in the file" in other.stderr


def test_how_printed_text_is_cut_up_is_no_difference():
    def printing(*texts):
        outputs = [nbformat.v4.new_output("stream", name=name, text=text) for name, text in texts]
        return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=outputs, execution_count=1)])

    whole = printing(("stdout", "a\nb\n"))
    assert execute.differences(whole, printing(("stdout", "a\n"), ("stdout", "b\n"))) == []
    assert execute.differences(whole, printing(("stdout", "a\n"), ("stdout", "c\n"))) == [1]
    assert execute.differences(whole, printing(("stdout", "a\n"), ("stderr", "b\n"))) == [1]


@pytest.mark.parametrize(
    ("outputs", "count", "problem"),
    [
        ([nbformat.v4.new_output("stream", name="stderr", text="careful")], 1, "wrote a warning: careful"),
        ([nbformat.v4.new_output("error", ename="E", evalue="bad", traceback=[])], 1, "failed: E: bad"),
        ([nbformat.v4.new_output("stream", name="stdout", text="saved /home/me/dream.png")], 1, "shows a path"),
        ([nbformat.v4.new_output("display_data", {"image/png": "A" * 1_600_000})], 1, "bytes; at most"),
        ([], 2, "not run once each, in order"),
        ([], None, "not run once each, in order"),
    ],
)
def test_problems_are_found(outputs, count, problem):
    cell = nbformat.v4.new_code_cell("x", outputs=outputs, execution_count=count)
    found = execute.problems(nbformat.v4.new_notebook(cells=[cell]))
    assert len(found) == 1 and problem in found[0]


def test_layer_names_are_no_paths():
    text = "inception_3b/5x5_reduce, 1/2, https://example.org/home/page"
    output = nbformat.v4.new_output("stream", name="stdout", text=text)
    cell = nbformat.v4.new_code_cell("x", outputs=[output], execution_count=1)
    assert execute.problems(nbformat.v4.new_notebook(cells=[cell])) == []
