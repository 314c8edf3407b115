"""The notebooks: every one runs from a clean kernel, and what is committed is what may be shown."""

import ast
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import typer
from IPython.core.inputtransformer2 import TransformerManager

import deepdream as dd
from deepdream.cli.commands import app
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


def installation(notebook):
    """The cell that installs deepdream where it is missing, as plain Python."""
    return TransformerManager().transform_cell(code_cells(notebook)[0].source)


def settings(notebook):
    """The cell with the parameters."""
    return code_cells(notebook)[1]


def test_there_are_seven():
    assert [path.name[:2] for path in PATHS] == ["01", "02", "03", "04", "05", "06", "07"]


FOLD = "<details><summary>{}</summary>"


def exercises(notebook):
    """(the place of its cell, its number, the name of the answer, the line of the dots, the solution) of each."""
    found = []
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or cell is code_cells(notebook)[0]:
            continue
        statements = ast.parse(cell.source).body
        last = getattr(statements[-1], "value", None)
        if isinstance(last, ast.Call) and ast.unparse(last.func) == "check":
            (dots,) = [each for each in statements if isinstance(each, ast.Assign) and ast.unparse(each.value) == "..."]
            before, after = notebook.cells[place - 1].source, notebook.cells[place + 1].source
            number = last.args[0].value
            assert before.startswith(f"### Exercise {number} · "), before
            assert after.startswith("<details><summary>Solution</summary>\n\n") and after.endswith("\n\n</details>"), (
                after
            )
            (solution,) = re.findall(r"^```python\n(.*?)\n```$", after, re.M | re.S)
            found.append((place, number, dots.targets[0].id, dots.lineno - 1, solution))
    return found


WRONG = '"nonsense"', "-1e9", "lambda *_: None", "None"


@each_notebook
def test_runs_from_a_clean_kernel(path, tmp_path, monkeypatch, squeezenet_file):
    """At smoke size, with the network that needs no download site; its claims hold, and it says no warning.

    Every exercise is solved by its solution, and by no other answer.
    """
    notebook = read(path)
    found = exercises(notebook)
    assert [number for _, number, *_ in found] == list(range(1, len(found) + 1)) and len(found) >= 5
    for place, _, name, line, solution in reversed(found):
        lines = notebook.cells[place].source.split("\n")
        notebook.cells[place].source = "\n".join([*lines[:line], solution, *lines[line + 1 :]])
        check = ast.unparse(ast.parse(notebook.cells[place].source).body[-1])
        again = [nbformat.v4.new_code_cell(f"{name} = {wrong}\n{check}") for wrong in WRONG]
        notebook.cells[place + 1 : place + 1] = again
    nbformat.write(notebook, tmp_path / path.name)
    monkeypatch.setenv("DEEPDREAM_SMOKE", "1")
    done = execute.execute(tmp_path / path.name)
    assert execute.problems(done) == []
    texts = [output.get("text", "") for cell in code_cells(done) for output in cell.outputs]
    said = [line for text in texts for line in text.splitlines() if line.startswith("Exercise ")]
    assert len(said) == len(found) * (1 + len(WRONG))
    for number in range(1, len(found) + 1):
        right, *wrong = said[: 1 + len(WRONG)]
        del said[: 1 + len(WRONG)]
        assert right == f"Exercise {number}: right."
        for line, answer in zip(wrong, WRONG):
            assert line.startswith(f"Exercise {number}: not yet. ") and len(line) <= 300, (answer, line)


def test_the_command_runs_it_small_and_writes_nothing(squeezenet_file):
    before = PATHS[-1].read_bytes()
    done = run("--smoke", PATHS[-1])
    assert done.returncode == 0, done.stderr
    assert PATHS[-1].read_bytes() == before


SQUEEZENET, GOOGLENET = "squeezenet_v1.1", "bvlc_googlenet"
FILTER = "[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]"
SCALES = "SCALE, STEP, JITTER, SEED, PICTURE = 1.4, 1.5, 32"
# What a reader is invited to try: the notebook, how the item begins, and {what stands there: what is tried}. The name
# of a layer belongs to one network; all else is tried with both.
INVITED = [
    ("01", "Try another seed", {"step_size=1.5, jitter=32": "step_size=3, jitter=0", "PICTURE = 2015": "PICTURE = 7"}),
    ("01", "Try another seed", {'DEEP, SHALLOW, GUIDED = "fire8/concat"': 'DEEP, SHALLOW, GUIDED = "fire6/concat"'}),
    (
        "01",
        "Try another seed",
        {'SHALLOW, GUIDED = "inception_4c/output"': 'SHALLOW, GUIDED = "conv2/3x3"'},
    ),
    ("01", "Use your own", {"sky = scaled(dd.picture(PICTURE), WIDTH)": 'sky = scaled(dd.picture("coffee"), 200)'}),
    ("01", "Start from noise", {"sky = scaled(dd.picture(PICTURE), WIDTH)": 'sky = dd.picture("noise:160x90")'}),
    (
        "01",
        "Use another objective",
        {"    blob.diff[...] = blob.data\n": "    blob.diff[...] = 0\n    blob.diff[0, 7] = blob.data[0, 7]\n"},
    ),
    ("02", "Train with another", {"rng(57)": "rng(3)"}),
    ("02", "Train with another", {"rng(57)": "rng(10)"}),
    ("02", "Replace Sobel's", {FILTER: "[[1, 2, 1], [2, 4, 2], [1, 2, 1]]"}),
    ("02", "Replace Sobel's", {FILTER: "[[1, -1, 1], [-1, 1, -1], [1, -1, 1]]"}),
    ("02", "Choose another label", {"goldfish, Carassius auratus": "banana"}),
    ("02", "Leave out the last", {', "inception_4c/output"]': "]"}),
    ("02", "Leave out the last", {', "fire8/concat"]': "]"}),
    ("03", "Try `SCALE = 2`", {SCALES: "SCALE, STEP, JITTER, SEED, PICTURE = 2, 1.5, 32"}),
    ("03", "Try `SCALE = 2`", {SCALES: "SCALE, STEP, JITTER, SEED, PICTURE = 1.2, 1.5, 32"}),
    ("03", "Try `JITTER = 4`", {SCALES: "SCALE, STEP, JITTER, SEED, PICTURE = 1.4, 1.5, 4"}),
    ("03", "Try `STEP = 6`", {SCALES: "SCALE, STEP, JITTER, SEED, PICTURE = 1.4, 6, 32"}),
    ("03", 'Try `PICTURE = "face"`', {'2015, "clouds"': '2015, "face"'}),
    ("03", "Try another `CHANNEL`", {'"fire2/expand3x3", 61': '"fire3/expand3x3", 9'}),
    ("03", "Try another `CHANNEL`", {'"conv2/3x3", 40': '"inception_3a/3x3", 9'}),
    ("04", "Use layers between", {"fire8/expand3x3": "fire7/expand3x3"}),
    ("04", "Use layers between", {"inception_4d/3x3": "inception_4d/5x5_reduce"}),
    (
        "04",
        "Use two layers",
        {"end=layer, seed=SEED) for layer in STROKES": "end={layer: 1, net.end: 1}, seed=SEED) for layer in STROKES"},
    ),
    ("04", "Use another image", {'2015, "clouds"': '2015, "rocket"'}),
    ("04", "Use a label", {"dd.channels(channel)": 'dd.label(net, "starfish")', "end=layer, jitter=16": "jitter=16"}),
    ("05", "Exchange the two", {"landscape = scaled(dd.picture(PICTURE)": 'landscape = scaled(dd.picture("cat")'}),
    ("05", "Use your own guide", {'dd.picture("cat"), GUIDE)': 'dd.picture("rocket"), 2 * GUIDE)'}),
    ("05", "Use a layer in between", {'SHALLOW, DEEP = "fire5/concat"': 'SHALLOW, DEEP = "fire6/concat"'}),
    ("05", "Use a layer in between", {'DEEP = "inception_3b/output"': 'DEEP = "inception_4a/output"'}),
    ("07", "Set `PICTURE`", {'"cat", (0.38, 0.39)': '"face", (0.5, 0.3)'}),
    ("07", "Set `LAYER`", {'LAYER = "fire8/concat"': 'LAYER = "fire4/concat"'}),
    ("07", "Set `LAYER`", {'LAYER = "inception_4c/output"': 'LAYER = "inception_3b/output"'}),
    (
        "07",
        "Let several channels",
        {
            "strongest = np.argsort(-vector)[:COUNT].tolist()\n": "strongest = np.argsort(-vector)[:COUNT].tolist()\n"
            "dd.deepdream(net, cat, iter_n=1, octave_n=1, end=LAYER, objective=dd.channels(strongest))\n",
            "\nORANGE = (217, 130, 43)": '\nORANGE, cat = (217, 130, 43), dd.picture("cat", max_size=96)',
        },
    ),
    ("07", "Test a channel", {'NAMES = ["cat",': 'NAMES = ["noise:90x60", "cat",'}),
    ("06", "Use a guide", {"end=END, seed=seed)": "end=END, seed=seed, objective=dd.guided(net, sky, END))"}),
    ("06", "`CLOSER = -0.03`", {'PICTURE, CLOSER = 2015, "clouds", 0.06': 'PICTURE, CLOSER = 2015, "face", -0.03'}),
    ("06", "Try another layer", {'END, BRANCH = "fire8/concat"': 'END, BRANCH = "fire2/concat"'}),
    ("06", "Try another layer", {'END, BRANCH = "inception_4c/output"': 'END, BRANCH = "inception_3b/output"'}),
]
# These lead to another notebook, a file or a night of computing.
ELSEWHERE = ("Continue with", "To learn why", "Save a dream", "Guides work well", "For a large video")


def trials():
    """Every experiment with each network that has its layers; the first of a notebook is tried every time."""
    seen = set()
    for name, item, changes in INVITED:
        for network in (SQUEEZENET, GOOGLENET):
            if ("inception" if network == SQUEEZENET else "fire") in str(changes):
                continue
            slow = name in seen or network == GOOGLENET
            seen.add(name)
            marks = [*[pytest.mark.slow] * slow, *[pytest.mark.weights] * (network == GOOGLENET)]
            yield pytest.param(name, changes, network, id=f"{name}-{item}-{network}", marks=marks)


@each_notebook
def test_all_that_a_reader_is_invited_to_is_tried(path):
    words = read(path).cells[-1].source.partition("## What to try next\n")[2].partition("## ")[0]
    items = re.findall(r"^- (.*)$", words, re.M)
    known = (*ELSEWHERE, *(item for name, item, _ in INVITED if name == path.name[:2]))
    assert [item for item in items if not item.startswith(known)] == []
    assert [item for item in known[len(ELSEWHERE) :] if not any(each.startswith(item) for each in items)] == []


@pytest.mark.parametrize("name, changes, network", list(trials()))
def test_what_a_reader_is_invited_to_try_ends_in_no_error(
    tmp_path, monkeypatch, squeezenet_file, name, changes, network
):
    """A claim that does not hold is said in a sentence."""
    path = next(path for path in PATHS if path.name.startswith(name))
    notebook = read(path)
    cell = settings(notebook)
    cell.source = cell.source.replace(SQUEEZENET, network, 1)  # the one that the smoke size chooses
    for old, new in changes.items():
        cells = [cell for cell in code_cells(notebook) if old in cell.source]
        assert cells, old
        for cell in cells:
            cell.source = cell.source.replace(old, new)
    nbformat.write(notebook, tmp_path / path.name)
    monkeypatch.setenv("DEEPDREAM_SMOKE", "1")
    execute.execute(tmp_path / path.name, strict=False)


@pytest.mark.slow
def test_the_network_of_places_dreams_where_it_is_there(tmp_path, monkeypatch, squeezenet_file):
    """Here another network stands in for it."""
    path = next(path for path in PATHS if path.name.startswith("04"))
    notebook = read(path)
    (cell,) = [cell for cell in code_cells(notebook) if "googlenet_places205" in cell.source]
    cell.source = cell.source.replace("if SMOKE:", "if False:").replace('dd.load("googlenet_places205")', "net")
    assert cell.source.count("if False:") == 1 and "places = net" in cell.source
    nbformat.write(notebook, tmp_path / path.name)
    monkeypatch.setenv("DEEPDREAM_SMOKE", "1")
    done = execute.execute(tmp_path / path.name)
    (output,) = next(each for each in code_cells(done) if "places = net" in each.source).outputs
    assert "image/jpeg" in output.data


@each_notebook
def test_commands_have_the_options_that_they_are_shown_with(path):
    for cell in read(path).cells:
        for command in re.findall(r"`deepdream ([^`]*)`", cell.source if cell.cell_type == "markdown" else ""):
            name, *words = shlex.split(command)
            typer.main.get_command(app).commands[name].make_context(name, words)


def test_a_wrong_name_of_a_layer_is_answered_with_the_closest(monkeypatch, squeezenet_file):
    monkeypatch.setenv("DEEPDREAM_SMOKE", "1")
    source = settings(read(PATHS[0])).source.replace('GUIDED = "fire8/concat"', 'GUIDED = "fire8/conca"')
    with pytest.raises(dd.LayerError, match="fire8/concat"):
        exec(source, {})


def test_every_claim_is_a_sentence_that_is_checked():
    """No bare assert: it would answer a reader's experiment with an AssertionError."""
    claims = 0
    for path in PATHS:
        for cell in code_cells(read(path))[1:]:
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
def test_the_reader_predicts_before_seeing(path):
    """A question whose answer is folded away, at least twice."""
    asked = [cell.source for cell in read(path).cells if cell.source.startswith("**Predict.**")]
    assert len(asked) >= 2
    for source in asked:
        assert "?" in source.partition("<details>")[0]
        assert f"{FOLD.format('Answer')}\n\n" in source and source.endswith("\n\n</details>")


@each_notebook
def test_every_picture_has_a_description_of_its_own(path):
    descriptions = []
    for cell in code_cells(read(path)):
        pictures = [(kind, output) for output in cell.outputs for kind in output.get("data", {}) if "image/" in kind]
        assert len(pictures) <= 1, "a rendered page has one description for a cell"
        descriptions += [output.metadata.get(kind, {}).get("alt", "") for kind, output in pictures]
    assert all(len(words) >= 12 for words in descriptions)
    assert len(set(descriptions)) == len(descriptions)


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


class TestOnColab:
    """The first cell installs what is missing."""

    @pytest.fixture
    def missing(self, monkeypatch, tmp_path):
        """A folder without wheels, a Python without deepdream, and the list of what %pip is called with."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        called = []

        class Shell:
            def run_line_magic(self, name, line):
                called.append((name, line))

        return tmp_path, {"get_ipython": Shell}, called

    @each_notebook
    def test_it_is_the_same_in_every_notebook_and_does_nothing_here(self, path, monkeypatch, tmp_path):
        first, second = read(PATHS[0]), read(path)
        assert code_cells(second)[0].source == code_cells(first)[0].source and code_cells(second)[0].outputs == []
        assert [cell.source for cell in second.cells[1:3]] == [cell.source for cell in first.cells[1:3]]
        assert second.cells[3].source.startswith("## Settings") and second.cells[4] is settings(second)
        monkeypatch.chdir(tmp_path)
        exec(installation(second), {})

    def test_without_wheels_it_says_which_to_upload(self, missing):
        with pytest.raises(ImportError, match=r"deepdream_caffe-….whl and deepdream_pycaffe-….whl") as raised:
            exec(installation(read(PATHS[0])), missing[1])
        assert len(str(raised.value)) <= 300 and not missing[2]

    def test_it_installs_the_wheels_in_its_folder_and_nothing_else_of_that_name(self, missing):
        folder, names, called = missing
        for name in ("deepdream_caffe-1.0-py3-none-any.whl", "deepdream_pycaffe-1.0.0-cp312-abi3-linux_x86_64.whl"):
            (folder / name).touch()
        exec(installation(read(PATHS[0])), names)
        ((magic, line),) = called
        assert magic == "pip"
        command = line.replace('{" ".join(WHEELS)}', " ".join(sorted(names["WHEELS"])))  # as %pip does
        words = command.split()
        assert words[:2] == ["install", "--quiet"] and sorted(words[2:4]) == sorted(os.listdir(folder))
        assert "deepdream" not in " ".join(words[4:]), "the package index has no deepdream of ours"


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
    exec(settings(read(path)).source, names)
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


def test_sliders_are_not_kept():
    """Their place is a page with a kernel; the image that they begin with stays."""
    image = nbformat.v4.new_output("display_data", {"image/jpeg": "AAAA"}, metadata={"image/jpeg": {"alt": "a cat"}})
    slider = nbformat.v4.new_output("display_data", {execute.WIDGET: {"model_id": "1"}, "text/plain": "HBox()"})
    cell = nbformat.v4.new_code_cell("x", outputs=[slider, image], execution_count=1)
    assert execute.strip(nbformat.v4.new_notebook(cells=[cell])).cells[0].outputs == [image]


def test_how_printed_text_is_cut_up_is_no_difference():
    def printing(*texts):
        outputs = [nbformat.v4.new_output("stream", name=name, text=text) for name, text in texts]
        return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=outputs, execution_count=1)])

    whole = printing(("stdout", "a\nb\n"))
    assert execute.differences(whole, printing(("stdout", "a\n"), ("stdout", "b\n"))) == []
    assert execute.differences(whole, printing(("stdout", "a\n"), ("stdout", "c\n"))) == [1]
    assert execute.differences(whole, printing(("stdout", "a\n"), ("stderr", "b\n"))) == [1]
    [output] = execute.strip(printing(("stdout", "a\n"), ("stdout", "b\n"))).cells[0].outputs
    assert output == whole.cells[0].outputs[0]


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
