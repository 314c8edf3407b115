"""Run the notebooks from a clean kernel and keep what they show: `python notebooks/execute.py [NOTEBOOK …]`.

Metadata, timestamps and the like are stripped, so that a notebook changes only where its text or its outputs do.
"""

import argparse
import os
import re
import sys
from pathlib import Path

import matplotlib.font_manager  # noqa: F401  (builds its font cache now; in a notebook it would say so)
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).resolve().parent
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
MAX_NOTEBOOK_BYTES = 1_500_000
WIDGET = "application/vnd.jupyter.widget-view+json"
# The machine's own paths; `/` alone also stands in layer names and addresses.
_PATH = re.compile(r"(?<![\w/.])/(?:home|root|tmp|usr|var|opt|work|Users|private)/|[A-Z]:\\\\")


def notebooks():
    """The notebooks that are executed, in order."""
    return sorted(FOLDER.glob("[0-9][0-9]-*.ipynb"))


def execute(path, timeout=1800, strict=True):
    """The notebook at `path`, freshly run in a kernel of its own, stripped of what varies from run to run.

    Args:
        path: of the notebook's file.
        timeout: for each cell, in seconds.
        strict: whether a claim that does not hold is an error, as it is with the published settings.

    Raises:
        CellExecutionError: a cell failed (`nbclient.exceptions`).
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = nbformat.from_dict(METADATA)
    os.environ["DEEPDREAM_STRICT"] = str(int(strict))
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    client.execute()
    return strip(notebook)


def strip(notebook):
    """The notebook without metadata and sliders, its cells named by their place; pictures keep their descriptions.

    A slider needs a kernel: where none runs, a page would show the name of its class.
    """
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells, 1):
        cell.id = f"cell-{number:02}"
        cell.metadata = {}
        if cell.cell_type == "code":
            shown = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
            cell.outputs = [nbformat.from_dict(output) for output in _joined(shown)]
    return notebook


def problems(notebook):
    """What must not be in a notebook that is shown: a list of sentences, empty if all is well."""
    found = []
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("its cells were not run once each, in order")
    for cell in code:
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"cell {cell.execution_count} failed: {output.ename}: {output.evalue}")
            if output.get("name") == "stderr":
                found.append(f"cell {cell.execution_count} wrote a warning: {output.text.strip()}")
        if _PATH.search(_text(cell)):
            found.append(f"cell {cell.execution_count} shows a path of the machine it ran on")
    size = len(nbformat.writes(notebook).encode())
    if size > MAX_NOTEBOOK_BYTES:
        found.append(f"it has {size:,} bytes; at most {MAX_NOTEBOOK_BYTES:,}")
    return found


def _text(cell):
    """All that a cell's outputs say in words."""
    words = []
    for output in cell.outputs:
        words.append(output.get("text", ""))
        words += [data for kind, data in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(words)


def differences(old, new):
    """The numbers of the code cells whose outputs are not the same, bit for bit."""
    both = zip(*([cell for cell in notebook.cells if cell.cell_type == "code"] for notebook in (old, new)))
    return [was.execution_count for was, now in both if _joined(was.outputs) != _joined(now.outputs)]


def _joined(outputs):
    """A cell's outputs, what was printed in one piece: into how many the kernel cuts it is chance."""
    joined = []
    for output in outputs:
        if joined and output.output_type == "stream" and output.name == joined[-1].get("name"):
            joined[-1] = {**joined[-1], "text": joined[-1]["text"] + output.text}
        else:
            joined.append(dict(output))
    return joined


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="which; all of them if none is named")
    parser.add_argument("--smoke", action="store_true", help="at small sizes with squeezenet_v1.1; writes nothing")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the outputs would change")
    arguments = parser.parse_args()
    if arguments.smoke:
        os.environ["DEEPDREAM_SMOKE"] = "1"
    bad = False
    for path in arguments.notebooks or notebooks():
        try:
            fresh = execute(path)
        except CellExecutionError as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            bad = True
            continue
        found = problems(fresh)
        if arguments.check:
            changed = differences(nbformat.read(path, as_version=4), fresh)
            found += [f"the outputs of cell {number} are not those in the file" for number in changed]
        for problem in found:
            print(f"{path.name}: {problem}", file=sys.stderr)
        bad = bad or bool(found)
        if not (found or arguments.smoke or arguments.check):
            temporary = path.with_suffix(".ipynb.new")
            temporary.write_text(nbformat.writes(fresh, indent=1) + "\n", encoding="utf-8")
            temporary.replace(path)
        print(f"{path.name}: {len(nbformat.writes(fresh).encode()):,} bytes")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
