"""`make fuzz`: fuzz deepdream and count how the cases end. It takes an hour and a quarter on two cores.

    .venv/bin/python tests/fuzz                             # everything; the counts go into README.md
    .venv/bin/python tests/fuzz single                      # one part, as often as always; its counts go there too
    .venv/bin/python tests/fuzz files --count 300 --seed 7  # one part, printed
    .venv/bin/python tests/fuzz coverage --seconds 120      # guided by what it reaches; needs Atheris

The exit code is 1 if any case failed. For a damaged file or a set of parameters that did, everything needed to try it
again is printed.
"""

import argparse
import asyncio
import importlib.util
import json
import platform
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]  # as pytest has them

from wire import serve  # noqa: E402

from deepdream.zoo import registry, weights  # noqa: E402
from fuzz import files, guided, kills, parameters, report, single, soak, visitors  # noqa: E402

COUNTS = {
    "files": 2000,
    "single": 160 * len(single.KINDS),
    "parameters": 2000,
    "kills": 200,
    "soak": 500,
    "visitors": 300,
    "coverage": 240,
}


def say(text):
    print(text, file=sys.stderr, flush=True)


def run_files(count, seed, folder):
    def tell(kind, number, _, outcome):
        if number % 100 == 0 or not outcome.good:
            say(f"files {number}/{count}, {kind}: {outcome.kind} {outcome.detail}")

    counts, bad, most = files.run(count, seed, folder, report=tell)
    return {"counts": counts, "memory": most, "bad": [[kind, number, outcome.kind] for kind, number, outcome in bad]}


def run_single(count, seed, folder):
    def tell(kind, number, fault, _, outcome):
        if number % 100 == 0 or not outcome.good:
            say(f"single {number}/{count}, {kind}, {fault}: {outcome.kind} {outcome.detail}")

    counts, shares, bad, most = single.run(count, seed, folder, tell)
    bad = [[kind, number, outcome.kind] for kind, number, outcome in bad]
    return {"counts": counts, "all over": shares, "memory": most, "bad": bad}


def run_coverage(seconds, seed, folder):
    counts = guided.run(seconds, seed, folder, say)
    return {"counts": counts, "bad": [[name, each["failed"]] for name, each in counts.items() if each["failed"]]}


def run_parameters(count, seed, folder):
    done, bad = 0, []

    def tell(kind, asked, outcome):
        nonlocal done
        done += 1
        if not outcome.good:
            bad.append([kind, repr(asked), outcome.kind])
        if done % 100 == 0 or not outcome.good:
            say(f"parameters {done}/{count}, {kind}: {outcome.kind} {outcome.detail}")

    counts, most = parameters.run(count, seed, folder, tell)
    return {"counts": counts, "memory": most, "bad": bad}


def run_kills(count, seed, folder):
    counts = kills.run(count, seed, Path(folder), say)
    return {"counts": counts, "bad": [each for scenario in counts.values() for each in scenario["failed"]]}


def run_soak(count, seed, _):
    there = [name for name in ("squeezenet_v1.1", "bvlc_googlenet") if weights.local_weights(registry.find_model(name))]

    def tell(number, resident, outcome):
        if number % 25 == 0 or outcome.kind != "done":
            say(f"soak {number}/{count}: {resident / 2**20:.0f} MiB, alone: {outcome.kind} {outcome.detail}")

    memory, rests, differing = soak.run(count, seed, there or ["squeezenet_v1.1"], tell)
    bad = [f"dream {number} is another one by itself" for number in differing]
    grown = soak.growth(memory, rests) if count > 3 * soak.SETTLED else ()
    return {
        "memory": memory,
        "rests": rests,
        "growth": grown,
        "models": there,
        "bad": bad + [f"memory grew by {each:.1%}" for each in grown if each > soak.MAX_GROWTH],
    }


def run_visitors(count, seed, folder):
    def tell(done, memory, processes):
        say(f"visitors {done}/{count}: {memory} MiB, {processes} processes")

    with serve(Path(folder) / "cache", *visitors.OPTIONS, limits=visitors.LIMITS) as server:
        found = asyncio.run(visitors.soak(server, count, seed, tell))
    return {**found, "bad": visitors.left_behind(found)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", choices=[[], *COUNTS], help="leave it out for all")
    parser.add_argument("--count", type=int, help="of files, sets, kills, dreams or visitors")
    parser.add_argument("--seconds", type=int, help="of the part coverage")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    results = {}
    parts = given.part or list(COUNTS)
    if not given.part and importlib.util.find_spec("atheris") is None:
        parts.remove("coverage")
        say("coverage is left out: Atheris is not installed (tests/fuzz/requirements.txt)")
    for part in parts:
        asked = given.seconds if part == "coverage" else given.count
        began, count = time.monotonic(), asked or COUNTS[part]
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            results[part] = globals()[f"run_{part}"](count, given.seed, folder)
        results[part].update(
            count=count,
            seed=given.seed,
            minutes=round((time.monotonic() - began) / 60, 1),
            machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        )
        say(f"{part}: {len(results[part]['bad'])} failed")
    print(json.dumps(results, indent=1))
    if given.count is None and given.seconds is None:
        report.keep(results)
    sys.exit(any(each["bad"] for each in results.values()))


if __name__ == "__main__":
    main()
