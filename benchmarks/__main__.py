"""Measure, and write results.json, results.md and a plot.

    python -m benchmarks                     everything, into benchmarks/ and docs/images/
    python -m benchmarks --parts dreams      one part; the others stay unchanged
    python -m benchmarks --add --rounds 1    one more round, added to the existing ones
    python -m benchmarks --avx2              as on a processor without AVX-512, into benchmarks/avx2/
    python -m benchmarks --quick             at small sizes, to test that it runs; prints the tables

Results of another machine or of other work are replaced.
"""

import argparse
import dataclasses
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path

import deepdream as dd

from . import machine, report
from .measure import PARTS, say
from .work import FULL, QUICK, Work

HERE = Path(__file__).resolve().parent
DEFAULT_MODEL, OFFLINE_MODEL = "bvlc_googlenet", "squeezenet_v1.1"


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, one round, no files unless -o is given")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="the parts to measure [all]")
    parser.add_argument("--rounds", type=int, help=f"number of dreams of each contender [{FULL.rounds}]")
    parser.add_argument("--add", action="store_true", help="add to the rounds that were measured earlier")
    parser.add_argument("--model", help=f"the network [{DEFAULT_MODEL}, else {OFFLINE_MODEL}]")
    parser.add_argument("--avx2", action="store_true", help="let no contender use AVX-512")
    parser.add_argument(
        "-o", "--output", type=Path, help="the folder for results and plot [benchmarks and docs/images]"
    )
    arguments = parser.parse_args()
    scale = QUICK if arguments.quick else FULL
    if arguments.rounds:
        scale = dataclasses.replace(scale, rounds=arguments.rounds)
    if arguments.avx2:
        os.environ.update(machine.AVX2_ALONE)
        arguments.output = arguments.output or HERE / "avx2"
    target = arguments.output or (None if arguments.quick else HERE)
    if target:
        target.mkdir(parents=True, exist_ok=True)
    plot_path = (arguments.output or HERE.parent / "docs" / "images") / "bench.svg"
    with tempfile.TemporaryDirectory(prefix="deepdream-bench-") as folder:
        work = Work(Path(folder), find_model(arguments.model), scale)
        results = earlier(target, {"machine": machine.describe(), "work": work.description()})
        for part in arguments.parts:
            for found in PARTS[part](work, results.get(part) if arguments.add else None):
                results[part] = found
                if target:
                    report.save(target / "results.json", json.dumps(results, indent=1) + "\n")
                    report.save(target / "results.md", report.tables(results))
    print(report.tables(results))
    if target and "dreams" in results and "sizes" in results and importlib.util.find_spec("matplotlib"):
        with report.replacing(plot_path) as path:
            report.plot(results, path)


def find_model(name):
    """The model to measure with. The dream of 2015 uses bvlc_googlenet; another model is used only with a message."""
    if name is None:
        name = DEFAULT_MODEL
        try:
            dd.load(name)
        except dd.WeightsError as error:
            say(f"Measuring with {OFFLINE_MODEL}: {error}")
            name = OFFLINE_MODEL
    return dd.find_model(name)


def earlier(target, now):
    """Earlier results for the same machine and work, to be completed; without them, only the new ones."""
    try:
        before = json.loads((target / "results.json").read_text(encoding="utf-8"))
    except (TypeError, OSError, ValueError):
        return now
    now = json.loads(json.dumps(now))
    same = all({**before[key], "rounds": 0} == {**now[key], "rounds": 0} for key in now)
    return {**before, **now} if same else now


if __name__ == "__main__":
    sys.exit(main())
