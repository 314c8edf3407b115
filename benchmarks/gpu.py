"""Checks and measures a GPU, within ten minutes: one report, benchmarks/gpu.md and gpu.json.

    python -m benchmarks.gpu                      on GPU 0; or: PYCAFFE_CUDA=1 make gpu-check
    python -m benchmarks.gpu --gpu 1 -o FOLDER
    python -m benchmarks.gpu --only speed profile these parts only
    python -m benchmarks.gpu --rehearse           the same at small sizes on the CPU, to test that it runs

Each part runs in a process of its own, with a time limit: one that fails costs only itself, and the report says so.
Without a usable GPU, it prints the reason and does not measure anything.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from . import gpu_parts, report
from .measure import say

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--gpu", type=int, default=0, help="the GPU's number [0]")
    parser.add_argument("--model", default="bvlc_googlenet", help="the network [bvlc_googlenet]")
    parser.add_argument("--only", nargs="+", choices=gpu_parts.SECONDS, help="only these parts")
    parser.add_argument("--rehearse", action="store_true", help="small, on the CPU; prints the report, writes no files")
    parser.add_argument("-o", "--output", type=Path, default=HERE, help="the folder for the report")
    arguments = parser.parse_args()
    gpu = None if arguments.rehearse else arguments.gpu
    problem = gpu_parts.problem(arguments.model, gpu)
    if problem:
        sys.exit(f"Nothing was measured: {problem}")
    results = {}
    for name in arguments.only or gpu_parts.SECONDS:
        begin = time.perf_counter()
        results[name] = in_a_process(name, {"gpu": gpu, "model": arguments.model})
        say(f"{name}: {time.perf_counter() - begin:.0f} s {results[name].get('failed', '')}")
        if not arguments.rehearse:
            arguments.output.mkdir(parents=True, exist_ok=True)
            for file, text in (("gpu.json", json.dumps(results, indent=1) + "\n"), ("gpu.md", markdown(results))):
                report.save(arguments.output / file, text)
    print(markdown(results))
    if any("failed" in found for found in results.values()):
        sys.exit(1)


def in_a_process(name, task):
    """What a part found, as a dictionary; {"failed": reason} if it failed."""
    command = [sys.executable, "-m", "benchmarks.gpu_parts", name, json.dumps(task)]
    try:
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=gpu_parts.SECONDS[name])
    except subprocess.TimeoutExpired as late:
        output = (late.stderr or b"").decode(errors="replace")
        return {"failed": f"not finished after {gpu_parts.SECONDS[name]} s", "output": output[-3000:]}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no output"]
        return {"failed": f"exit code {done.returncode}: {lines[-1][-300:]}", "output": done.stderr[-3000:]}
    return json.loads(done.stdout.splitlines()[-1])


def markdown(results):
    """The report."""
    sections = [f"## {name.capitalize()}\n\n{SECTIONS.get(name, facts)(found)}" for name, found in results.items()]
    return "# A GPU, checked and measured\n\nWritten by `python -m benchmarks.gpu`.\n\n" + "\n".join(sections)


def facts(found):
    """A dictionary as a table, one row for each entry."""
    return table(("", ""), [(name, _text(value)) for name, value in found.items() if name != "output"])


def rows(found):
    """A dictionary with a list of rows, each a dictionary with the same keys, as a table."""
    if "rows" not in found:
        return facts(found)
    heads = list(found["rows"][0])
    lines = table(heads, [[_text(row[head]) for head in heads] for row in found["rows"]])
    more = {name: value for name, value in found.items() if name != "rows"}
    return lines + ("\n" + facts(more) if more else "")


def table(heads, lines):
    parts = [heads, ["---"] * len(heads), *lines]
    return "".join(f"| {' | '.join(map(str, part))} |\n" for part in parts)


def _text(value):
    if isinstance(value, float):
        return f"{value:.1e}" if value and abs(value) < 1e-3 else f"{value:.4g}"
    if isinstance(value, dict):
        return "; ".join(f"{name} {_text(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return str(value).replace("|", "/").replace(os.linesep, " ")


SECTIONS = dict.fromkeys(("gradient", "dreams", "speed", "compiled", "profile", "memory"), rows)

if __name__ == "__main__":
    main()
