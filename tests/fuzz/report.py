"""Keep the counts of `make fuzz`: as numbers in results.json, as tables in README.md, the memory as a curve."""

import json
from pathlib import Path

import matplotlib

HERE = Path(__file__).resolve().parent
RESULTS, README, CURVE = HERE / "results.json", HERE / "README.md", HERE / "soak.svg"
BEGIN, END = "<!-- counts: written by make fuzz -->\n", "<!-- end of counts -->\n"
COLUMNS = ("done", "refused", "out of memory")


def keep(results):
    """Put these parts' results beside those of the others, and write the tables anew."""
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


def _kills(part):
    lines = [
        "### Kills\n",
        "| run | kills | of them at work | the same result | **another result** |",
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
        f"networks released, after dream 50: {rests[1]} MiB, at the end {rests[-1]}: **{at_rest:+.1%}**. The "
        "highest while it works, in the first and in the last third of the dreams after the 50th: "
        f"**{peaks:+.1%}**. {others} dreams gave another image than in a process of their own.\n\n"
        "![The memory after each dream, and at rest](soak.svg)\n"
    )


_TABLES = {
    "files": _outcomes("Damaged files", "file"),
    "parameters": _outcomes("Parameters", "asked of"),
    "kills": _kills,
    "soak": _soak,
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
