"""Measure, and write results.json, results.md and a plot.

    python -m benchmarks                     everything, into benchmarks/ and docs/
    python -m benchmarks --parts dreams      one part; the others stay as they are
    python -m benchmarks --add --rounds 1    one more round, added to those there are
    python -m benchmarks --quick             at small sizes, to see that it runs; prints the tables
"""

import argparse
import dataclasses
import importlib.util
import json
import sys
import tempfile
from pathlib import Path

from deepdream import models
from deepdream.errors import WeightsError
from deepdream.files import atomic_path

from . import machine, report
from .measure import PARTS, say
from .work import FULL, QUICK, Work

HERE = Path(__file__).resolve().parent
FIRST, FALLBACK = "bvlc_googlenet", "squeezenet_v1.1"


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, one round, no files unless -o is given")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure [all]")
    parser.add_argument("--rounds", type=int, help=f"how often each contender dreams [{FULL.rounds}]")
    parser.add_argument("--add", action="store_true", help="add to the rounds that were measured before")
    parser.add_argument("--model", help=f"the network [{FIRST}, or {FALLBACK} where that cannot be had]")
    parser.add_argument("-o", "--output", type=Path, help="the folder for results and plot [benchmarks and docs]")
    arguments = parser.parse_args()
    scale = QUICK if arguments.quick else FULL
    if arguments.rounds:
        scale = dataclasses.replace(scale, rounds=arguments.rounds)
    target = arguments.output or (None if arguments.quick else HERE)
    if target:
        target.mkdir(parents=True, exist_ok=True)
    plot_path = (arguments.output or HERE.parent / "docs") / "bench.svg"
    with tempfile.TemporaryDirectory(prefix="deepdream-bench-") as folder:
        work = Work(Path(folder), find_model(arguments.model), scale)
        results = earlier(target, {"machine": machine.describe(), "work": work.description()})
        for part in arguments.parts:
            for found in PARTS[part](work, results.get(part) if arguments.add else None):
                results[part] = found
                if target:
                    save(target / "results.json", json.dumps(results, indent=1) + "\n")
                    save(target / "results.md", report.tables(results))
    print(report.tables(results))
    if target and "dreams" in results and "sizes" in results and importlib.util.find_spec("matplotlib"):
        with atomic_path(plot_path) as path:
            report.plot(results, path)


def find_model(name):
    """The model to measure with. The dream of 2015 is bvlc_googlenet's; another one is taken only with a word."""
    if name is None:
        try:
            models.weights_path(models.find_model(FIRST))
        except WeightsError as error:
            say(f"Measuring with {FALLBACK}: {error}")
            name = FALLBACK
    return models.find_model(name or FIRST)


def earlier(target, now):
    """What was measured before on the same machine and the same work, to be completed; else only what is now."""
    try:
        before = json.loads((target / "results.json").read_text(encoding="utf-8"))
    except (TypeError, OSError, ValueError):
        return now
    now = json.loads(json.dumps(now))
    same = all({**before[key], "rounds": 0} == {**now[key], "rounds": 0} for key in now)
    return {**before, **now} if same else now


def save(path, text):
    with atomic_path(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
