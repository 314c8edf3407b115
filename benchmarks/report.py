"""`results.json` as tables and as a plot."""

import contextlib
import math
import os
from statistics import median

# {quantity: {vectors: (limit, aim)}}; a ratio is our seconds to another's.
LIMITS = {
    "ours / 2015": {"AVX-512": (0.24, 0.20), "AVX2": (0.28, 0.23)},
    "ours / fastest other framework": {"AVX-512": (0.36, 0.30), "AVX2": (0.45, 0.36)},
    "ours / sgemm limit": {"AVX-512": (1.50, 1.10), "AVX2": (1.30, 1.05)},
}
FLAT_FROM = 0.5  # megapixels: from this size on, the seconds per megapixel should be constant
FLAT = 1.2  # the largest over the smallest
PEAK = 1.5 * 2**30  # bytes: the peak of the largest dream in tiles
START = 2.0  # seconds


def facts(results):
    """{quantity: (value, limit, aim or None, unit)}: the requirements, as far as they were measured."""
    found = {}
    if "dreams" in results:
        seconds = {name: median(times) for name, times in results["dreams"]["seconds"].items()}
        seconds["sgemm limit"] = sgemm_seconds(results)
        frameworks = [value for name, value in seconds.items() if name.startswith(("PyTorch", "JAX"))]
        others = {
            "ours / 2015": seconds["2015"],
            "ours / fastest other framework": min(frameworks, default=None),
            "ours / sgemm limit": seconds["sgemm limit"],
        }
        for what, other in others.items():
            if other is not None:
                limits = LIMITS[what].get(results["machine"]["vectors"], (math.inf, None))
                found[what] = (seconds["deepdream"] / other, *limits, "")
    if "sizes" in results:
        for tile in tiles(results):
            flat = [
                row["seconds"] / megapixels(row)
                for row in results["sizes"]
                if row["tile"] == tile and megapixels(row) >= 0.99 * FLAT_FROM
            ]
            if flat:
                found[f"slowest / fastest megapixel, {tiling(tile)}"] = (max(flat) / min(flat), FLAT, None, "")
        largest = max((row for row in results["sizes"] if row["tile"]), key=megapixels)
        found[f"peak memory, {megapixels(largest):.3g} megapixels, {tiling(largest['tile'])}"] = (
            largest["peak"] / 2**30,
            PEAK / 2**30,
            None,
            " GiB",
        )
    if "start" in results:
        found["from the command to the first gradient"] = (median(results["start"]), START, None, " s")
    return found


def sgemm_seconds(results):
    return results["work"]["gigaflop"] * 1e9 / median(results["dreams"]["sgemm"])


def megapixels(row):
    return row["width"] * row["height"] / 1e6


def tiles(results):
    return sorted({row["tile"] for row in results["sizes"]}, key=lambda tile: tile or 0)


def tiling(tile):
    return f"tiles of {tile}" if tile else "whole"


def tables(results):
    """The text of `results.md`."""
    work, machine = results["work"], results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    parts = [
        "# Results",
        "",
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory']}, {machine['system']}. {versions}.",
        "",
        f"The dream: {work['model']}, {work['end']}, {work['picture'][0]}×{work['picture'][1]} pixels, "
        f"{work['octave_n']} octaves of {work['iter_n']} iterations; {work['gigaflop']:.0f} GFLOP of multiplications. "
        "Medians; the least and the most in brackets.",
        "",
        *_table(
            ("", "measured", "must be at most", "aim"),
            [
                (what, f"{value:.2f}{unit}", f"{limit:.2f}{unit}", "" if aim is None else f"{aim:.2f}{unit}")
                for what, (value, limit, aim, unit) in facts(results).items()
            ],
        ),
    ]
    rendered = {
        "dreams": _dreams,
        "forward": _forward,
        "nets": _nets,
        "threads": _threads,
        "sizes": _sizes,
        "layers": _layers,
    }
    for part, render in rendered.items():
        if part in results:
            parts += ["", *render(results)]
    return "\n".join(parts) + "\n"


def dreams_table(results):
    """The lines of the table in the project's README."""
    dreams = results["dreams"]
    ours = median(dreams["seconds"]["deepdream"])
    rows = [
        (
            name,
            _spread(times),
            f"{ours / median(times):.2f}",
            f"{median(dreams['peak'][name]) / 2**30:.2f} GiB",
            f"{dreams['differences'][name]:.0e}" if name != "deepdream" else "",
        )
        for name, times in dreams["seconds"].items()
    ]
    limit = sgemm_seconds(results)
    rows.append(
        (
            f"every multiplication at sgemm's {median(dreams['sgemm']) / 1e9:.0f} GFLOP/s",
            f"{limit:.1f}",
            f"{ours / limit:.2f}",
            "",
            "",
        )
    )
    return _table(("the default dream", "seconds", "ours / it", "peak memory", "its gradient differs by"), rows)


def _dreams(results):
    rounds, others = len(results["dreams"]["sgemm"]), median(results["dreams"]["others"])
    return [
        "## The dream",
        "",
        f"Rounds: {rounds}. Meanwhile others kept {others:.1f} of the processors busy.",
        "",
        *dreams_table(results),
    ]


def _forward(results):
    seconds, differences = results["forward"]["seconds"], results["forward"]["differences"]
    ours = median(seconds["deepdream"])
    return [
        "## The forward pass alone",
        "",
        "Of programs that do not compute gradients, at full size.",
        "",
        *_table(
            ("forward pass", "milliseconds", "ours / it", "its activations differ by"),
            [
                (
                    name,
                    _spread([1e3 * each for each in times]),
                    f"{ours / median(times):.2f}",
                    f"{differences[name]:.0e}" if name != "deepdream" else "",
                )
                for name, times in seconds.items()
            ],
        ),
    ]


def _nets(results):
    times = results["nets"]
    return [
        "## Two networks",
        "",
        "Two dreams in one process: one after the other with all threads, or at once, each in a thread of Python with "
        "half of them.",
        "",
        *_table(("two dreams", "seconds"), [(name, _spread(seconds)) for name, seconds in times.items()]),
    ]


def _threads(results):
    times = results["threads"]
    one = median(times["1"])
    return [
        "## Threads",
        "",
        *_table(
            ("threads", "seconds", "faster than one"),
            [(count, _spread(seconds), f"{one / median(seconds):.2f}×") for count, seconds in times.items()],
        ),
    ]


def _sizes(results):
    rows = []
    for size in sorted({(megapixels(row), row["width"], row["height"]) for row in results["sizes"]}):
        cells = [f"{size[0]:.3g}", f"{size[1]}×{size[2]}"]
        for tile in tiles(results):
            row = next(row for row in results["sizes"] if row["tile"] == tile and megapixels(row) == size[0])
            cells += [f"{row['seconds'] / size[0]:.3f}", f"{row['peak'] / 2**30:.2f}"]
        rows.append(cells)
    head = ["megapixels", "size"]
    for tile in tiles(results):
        head += [f"s a step and megapixel, {tiling(tile)}", f"peak GiB, {tiling(tile)}"]
    others = median(row["others"] for row in results["sizes"])
    return [
        "## Sizes",
        "",
        "The steps at full size, and the peak memory of the whole dream. Others kept "
        f"{others:.1f} of the processors busy.",
        "",
        *_table(head, rows),
    ]


def _layers(results):
    groups = {}
    for layer in results["layers"]:
        group = groups.setdefault(layer["type"].removeprefix("Fast"), [0, 0, 0])
        for i, key in enumerate(("forward", "backward", "flops")):
            group[i] += layer[key]
    total = sum(sum(group[:2]) for group in groups.values())
    rows = []
    for kind, (forward, backward, flops) in sorted(groups.items(), key=lambda entry: -sum(entry[1][:2])):
        if forward + backward < 0.001 * total:
            continue
        speed = f"{flops / forward / 1e6:.0f}, {flops / backward / 1e6:.0f}" if flops else ""
        rows.append((kind, f"{forward:.1f}", f"{backward:.1f}", f"{(forward + backward) / total:.0%}", speed))
    rows.append(
        ("all", f"{sum(g[0] for g in groups.values()):.1f}", f"{sum(g[1] for g in groups.values()):.1f}", "", "")
    )
    return [
        "## Layers",
        "",
        "One step at full size, layer by layer.",
        "",
        *_table(("layers", "forward, ms", "backward, ms", "share", "GFLOP/s, forward and backward"), rows),
    ]


def _spread(times):
    return f"{median(times):.1f} ({min(times):.1f}–{max(times):.1f})"


def _table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows)]


@contextlib.contextmanager
def replacing(path):
    """A temporary path beside `path` that replaces it if the block ends well.

    Args:
        path: the file to write, a `Path` in an existing folder.

    Yields:
        The temporary path, with the same suffix.
    """
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save(path, text):
    """Write a text file; an older one is replaced only by the complete new one."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def plot(results, path):
    """The dream's seconds, and the curves by size, in an SVG that is readable on a light and on a dark background."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    ink, ours, other = "#808080", "#d9622b", "#5b8db8"
    style = {
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.edgecolor": ink,
        "xtick.color": ink,
        "ytick.color": ink,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "font.size": 9,
        "axes.titlesize": 10,
        "svg.hashsalt": "deepdream",
        "legend.frameon": False,
    }
    with plt.rc_context(style):
        figure, (bars, speed, memory) = plt.subplots(1, 3, figsize=(11, 3), gridspec_kw={"width_ratios": (4, 3, 3)})
        seconds = {name: median(times) for name, times in results["dreams"]["seconds"].items()}
        seconds["sgemm limit"] = sgemm_seconds(results)
        names = sorted(seconds, key=seconds.get)
        drawn = bars.barh(
            names,
            [seconds[name] for name in names],
            color=[ours if name == "deepdream" else ink if name == "sgemm limit" else other for name in names],
        )
        bars.bar_label(drawn, fmt="%.1f", padding=3, color=ink)
        bars.set(title="the default dream, seconds")
        bars.invert_yaxis()
        for tile, colour in zip(tiles(results), (ours, other)):
            rows = sorted((row for row in results["sizes"] if row["tile"] == tile), key=megapixels)
            areas = [megapixels(row) for row in rows]
            for axes, values in (
                (speed, [row["seconds"] / area for row, area in zip(rows, areas)]),
                (memory, [row["peak"] / 2**30 for row in rows]),
            ):
                axes.plot(areas, values, "o-", color=colour, label=tiling(tile), markersize=4)
        speed.set(title="a step, seconds per megapixel", xscale="log", xlabel="megapixels")
        speed.set_ylim(bottom=0)
        memory.set(title="peak memory, GiB", xscale="log", yscale="log", xlabel="megapixels")
        for axes in (speed, memory):
            axes.set_xticks([0.1, 1, 8], ["0.1", "1", "8"])
            axes.minorticks_off()
            axes.legend()
        memory.set_yticks([0.25, 1, 4, 16], ["¼", "1", "4", "16"])
        figure.tight_layout()
        figure.savefig(path, transparent=True, metadata={"Date": None, "Creator": None})
        plt.close(figure)
