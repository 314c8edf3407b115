"""Stores the counts of `make fuzz`: as numbers in results.json, as tables in README.md, the memory as a curve."""

import json
from pathlib import Path

import matplotlib

from fuzz import single

HERE = Path(__file__).resolve().parent
RESULTS, README, CURVE = HERE / "results.json", HERE / "README.md", HERE / "soak.svg"
BEGIN, END = "<!-- counts: written by make fuzz -->\n", "<!-- end of counts -->\n"
COLUMNS = ("done", "refused", "out of memory")


def keep(results):
    """Add the results of these parts to those of the others, and write the tables again."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    known.update(results)
    RESULTS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    text = README.read_text(encoding="utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    README.write_text(before + BEGIN + tables(known) + END + after, encoding="utf-8")
    if "soak" in results:
        draw(known["soak"]["memory"], known["soak"]["rests"])


def tables(results):
    """The results as Markdown."""
    parts = [f"\n{_TABLES[part](results[part])}\n{_ran(results[part])}\n" for part in _TABLES if part in results]
    return "\n".join(parts) + "\n"


def _ran(part):
    return f"Seed {part['seed']}, {part['minutes']:g} minutes, {part['machine']}."


def _outcomes(title, what):
    def table(part):
        counts = part["counts"]
        rows = [
            [
                kind,
                sum(each.values()),
                *(each.get(column, 0) for column in COLUMNS),
                sum(each.values()) - sum(each.get(column, 0) for column in COLUMNS),
            ]
            for kind, each in counts.items()
        ]
        rows.append(["**all**", *(sum(row[i] for row in rows) for i in range(1, 6))])
        lines = [
            f"### {title}\n",
            f"| {what} | cases | {' | '.join(COLUMNS)} | **failed** |",
            "|---|" + "---:|" * 5,
            *("| " + " | ".join(map(str, row)) + " |" for row in rows),
        ]
        return "\n".join(lines) + f"\n\nThe largest process had {part['memory'] / 2**20:.0f} MiB."

    return table


def _single(part):
    early, columns = single.EARLY, ("done", "refused", single.EARLY, "out of memory")
    rows, totals = [], [0] * 6
    for kind, each in part["counts"].items():
        cases = sum(each.values())
        row = [cases, *(each.get(column, 0) for column in columns)]
        row.append(cases - sum(row[1:]))
        totals = [total + number for total, number in zip(totals, row)]
        rows.append([kind, *row, f"{1 - each.get(early, 0) / cases:.0%}", f"{part['all over'][kind]:.0%}"])
    mean = sum(part["all over"][kind] * sum(each.values()) for kind, each in part["counts"].items()) / totals[0]
    rows.append(["**all**", *totals, f"{1 - totals[3] / totals[0]:.0%}", f"{mean:.0%}"])
    lines = [
        "### Single faults\n",
        "| file | cases | done | refused later | refused by the first parser | out of memory | **failed** "
        "| past the first parser | damaged all over |",
        "|---|" + "---:|" * 8,
        *("| " + " | ".join(map(str, row)) + " |" for row in rows),
    ]
    return "\n".join(lines) + (
        "\n\nThe last two columns compare the share of these files that the first parser accepts (Pillow's header, "
        "JSON, TOML, protobuf, HDF5, FFmpeg's container) with the share of files that are damaged all over: only "
        "accepted files test the code that uses them. Damage all over a BMP or a WebP mostly hits its pixels, which "
        "the first parser does not check and which cannot be wrong in a BMP; single faults hit the header as often as "
        "the rest. "
        f"The largest process had {part['memory'] / 2**20:.0f} MiB."
    )


def _coverage(part):
    lines = [
        "### Coverage-guided\n",
        "| target | inputs | kept | lines reached by undamaged files | lines at the end | **failed** |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, each in part["counts"].items():
        lines.append(
            f"| {name} | {each['inputs']:,} | {each['kept']} | {each['lines before']} | {each['lines']} | "
            f"{int(bool(each['failed']))} |"
        )
    return "\n".join(lines) + "\n"


def _kills(part):
    lines = [
        "### Kills\n",
        "| run | kills | of them during work | the same result | **a different result** |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, each in part["counts"].items():
        lines.append(
            f"| {name} | {each['kills']} | {each['at work']} | {each['same result']} runs | {len(each['failed'])} |"
        )
    total = sum(each["kills"] for each in part["counts"].values())
    failed = sum(len(each["failed"]) for each in part["counts"].values())
    lines.append(
        f"| **all** | {total} | {sum(each['at work'] for each in part['counts'].values())} | "
        f"{sum(each['same result'] for each in part['counts'].values())} runs | {failed} |"
    )
    return "\n".join(lines) + "\n"


def _soak(part):
    rests, (at_rest, peaks) = [f"{each / 2**20:.0f}" for each in part["rests"]], part["growth"]
    others = sum("another" in each for each in part["bad"])
    return (
        f"### Soak\n\n{part['count']} dreams in one process ({', '.join(part['models'])}). Memory with all "
        f"networks released: {rests[1]} MiB after dream 50, {rests[-1]} MiB at the end: **{at_rest:+.1%}**. Peak "
        "memory while it works, in the last third of the dreams after the 50th compared with the first third: "
        f"**{peaks:+.1%}**. {others} dreams gave a different image than in a separate process.\n\n"
        "![The memory after each dream, and at rest](soak.svg)\n"
    )


def _visitors(part):
    kinds, (before, *memory) = part["visitors"], part["memory"]
    return (
        f"### Visitors of the playground\n\n{part['count']} visitors of one server, three at a time: {kinds['honest']} "
        f"who choose an image, dream and leave, {kinds['vanishes']} who vanish, {kinds['hostile']} who attack. "
        f"Memory of the server before the first: {before} MiB; at rest after each fifth part of them: "
        f"{', '.join(map(str, memory))}. Processes left behind: {part['processes'][-1] - part['processes'][0]}.\n"
    )


_TABLES = {
    "files": _outcomes("Damaged files", "file"),
    "single": _single,
    "parameters": _outcomes("Parameters", "called"),
    "kills": _kills,
    "soak": _soak,
    "visitors": _visitors,
    "coverage": _coverage,
}


def draw(memory, rests):
    """The curves of the memory."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = "the same file for the same numbers"
    figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
    axes.plot(range(1, len(memory) + 1), [each / 2**20 for each in memory], linewidth=1, label="after each dream")
    every = len(memory) // len(rests)
    axes.plot(range(every, len(memory) + 1, every), [each / 2**20 for each in rests], ".-", label="at rest")
    axes.legend(loc="lower right")
    axes.set(xlabel="dream", ylabel="memory, MiB", ylim=(0, None), xlim=(1, len(memory)))
    figure.savefig(CURVE, metadata={"Date": None})
    plt.close(figure)
