"""Parameters drawn at random by Hypothesis: what is asked of the commands and of the library.

Most of what is drawn is near what people ask for, some of it far beyond; each set either dreams or is refused with one
line.
"""

import collections
import json
import math
import sys
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fuzz import files, sandbox

LAYERS = ("data", "conv1", "relu1", "pool1", "left", "right", "both", "pool2", "score", "prob")


def mostly(usual, *others):
    """`usual` nine times out of ten."""
    return st.integers(0, 9).flatmap(lambda drawn: usual if drawn else st.one_of(*others))


WILD_WORDS = st.sampled_from(
    (
        "",
        "-",
        "--",
        "0",
        "-1",
        "nan",
        "inf",
        "1e999",
        "0x10",
        "١",
        "1.5",
        "both\n",
        "é",
        "=",
        "both=",
        "=1",
        "both=nan",
        "both=0",
        "a" * 3000,
        "/dev/null",
        ".",
        "..",
        "none",
        "auto",
    )
)
WILD_INTEGERS = st.one_of(st.sampled_from((0, -1, 2**31, 2**32, 2**63, 2**64, -(2**63), 10**30)), st.integers())
WILD_NUMBERS = st.one_of(st.floats(), st.sampled_from((0.0, -0.0, 1e-300, 1e300, math.nan, math.inf)))


def _text(strategy):
    return strategy.map(str)


def _layer():
    return mostly(st.sampled_from(LAYERS), WILD_WORDS)


def _ends():
    weighted = st.tuples(_layer(), mostly(st.floats(-3, 3).map(lambda n: f"{n:.3g}"), WILD_WORDS)).map("=".join)
    return st.lists(st.one_of(_layer(), weighted), min_size=1, max_size=3, unique=True)


def _sizes():
    return mostly(
        st.tuples(st.integers(44, 110), st.integers(44, 110)),
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
        st.tuples(st.integers(1, 3), st.integers(1, 3000)),
        st.sampled_from(((0, 10), (10**5, 10**5), (10**9, 10**9), (2**31, 1), (30000, 16))),
    )


# --- Commands --------------------------------------------------------------------------------------------------------

# Steps are few: a million of them are no fault, but nobody waits for them here.
DREAMING = {
    "--iters": mostly(_text(st.integers(1, 3)), st.sampled_from(("0", "-1", "1.5", "x", "", "-99999999999999999999"))),
    "--octaves": mostly(_text(st.integers(1, 4)), _text(WILD_INTEGERS), WILD_WORDS),
    "--octave-scale": mostly(_text(st.floats(1, 2)), _text(WILD_NUMBERS), WILD_WORDS),
    "--step": mostly(_text(st.floats(-5, 5)), _text(WILD_NUMBERS), WILD_WORDS),
    "--jitter": mostly(_text(st.integers(0, 40)), _text(WILD_INTEGERS), WILD_WORDS),
    "--seed": mostly(_text(st.integers(0, 2**32 - 1)), _text(WILD_INTEGERS), WILD_WORDS),
    "--tile": mostly(st.sampled_from(("auto", "none", "64", "65", "100")), _text(WILD_INTEGERS), WILD_WORDS),
    "--max-size": mostly(_text(st.integers(10, 120)), _text(st.integers(-3, 9)), WILD_WORDS),
    "--strength": mostly(_text(st.floats(0, 1)), _text(WILD_NUMBERS), WILD_WORDS),
    "--gpu": mostly(st.sampled_from(("auto", "none")), _text(WILD_INTEGERS), WILD_WORDS),
    "--mask": mostly(st.sampled_from(("photo.png", "equirectangular", "alpha", "noise:40x30")), WILD_WORDS),
    "--mask-feather": mostly(_text(st.floats(0, 20)), _text(WILD_NUMBERS), WILD_WORDS),
    "--wrap": mostly(st.sampled_from(("x", "xy")), WILD_WORDS),
    "--schedule": mostly(st.sampled_from(("frames.toml", "octaves.toml", "ladder")), st.just("photo.png"), WILD_WORDS),
}
SCHEDULES = {
    "frames.toml": b"""
[[keyframe]]
frame = 0
end = "left"
scale = 0.1
[[keyframe]]
frame = 1
end = {right = 0.5, both = -1}
guide = "photo.png"
strength = 0.5
""",
    "octaves.toml": b"""
[[keyframe]]
octave = 0
channel = [0, 3]
[[keyframe]]
octave = 1
label = {bee = 2}
step_size = -3.0
""",
}
AIMS = {
    "--end": _ends(),
    "--channel": st.lists(mostly(_text(st.integers(0, 7)), _text(WILD_INTEGERS), WILD_WORDS), min_size=1, max_size=3),
    "--label": mostly(st.sampled_from(("ant", "bee", "cat", "4", "eel", "ant=-0.5", "bee=1e9")), WILD_WORDS),
    "--guide": mostly(st.sampled_from(("photo.png", "noise:40x30", "cat", "cat=0.5", "cat=-1")), WILD_WORDS),
}
FILMED = {
    "--center": mostly(st.sampled_from(("10,20", "0,0", "999,999")), WILD_WORDS),
    "--scale": mostly(_text(st.floats(-0.3, 0.3)), _text(WILD_NUMBERS), WILD_WORDS),
    "--rotate": mostly(_text(st.floats(-180, 180)), _text(WILD_NUMBERS), WILD_WORDS),
    "--frames": mostly(_text(st.integers(1, 3)), st.sampled_from(("0", "-1", "x", ""))),
}
OUTPUTS = mostly(
    st.sampled_from(("out.png", "out.jpg", "out.tif", "out.webp", "OUT.PNG")),
    st.sampled_from(("out", "out.xyz", ".", "", "nowhere/out.png", "photo.png/x.png", "a" * 300 + ".png")),
)


def _noise():
    return _sizes().map(lambda size: f"noise:{size[1]}x{size[0]}")


@st.composite
def commands(draw):
    """(arguments of a command, the names that it writes)."""
    command = draw(st.sampled_from(("dream",) * 6 + ("label", "zoom", "classify", "layers", "activations", "atlas")))
    arguments, writes = [command], ()
    picture = draw(mostly(_noise(), st.sampled_from(("photo.png", "cat", "sky")), WILD_WORDS))

    def options(of, most):
        for name in draw(st.lists(st.sampled_from(sorted(of)), max_size=most, unique=True)):
            for value in (lambda drawn: drawn if isinstance(drawn, list) else [drawn])(draw(of[name])):
                arguments.append(f"{name}={value}")

    # What takes long if nothing else is said.
    base = ["--model", "model", "--iters", "1", "--octaves", "2"]
    if command == "dream":
        output = draw(OUTPUTS)
        arguments += [picture, *base, "-o", output]
        writes = ("dream.png" if output in ("", ".") else output,)
        options(DREAMING, 4)
        options(AIMS, 2 if draw(st.booleans()) and draw(st.booleans()) else 1)
        if draw(st.booleans()):
            arguments.append("--no-clip")
    elif command == "label":
        output = draw(OUTPUTS)
        arguments += [
            draw(AIMS["--label"]),
            *base,
            "-o",
            output,
            "--size",
            draw(mostly(_text(st.integers(16, 60)), _text(WILD_INTEGERS), WILD_WORDS)),
        ]
        writes = ("label.png" if output in ("", ".") else output,)
        options({name: DREAMING[name] for name in ("--octave-scale", "--step", "--jitter", "--seed")}, 3)
    elif command == "zoom":
        arguments += [picture, *base, "-o", "frames", "--frames", "2"]
        writes = ("frames/",)
        options(DREAMING, 2)
        options(AIMS, 1)
        options(FILMED, 2)
    elif command == "classify":
        arguments += [picture, "--model", "model"]
        options({"--top": mostly(_text(st.integers(1, 9)), _text(WILD_INTEGERS), WILD_WORDS)}, 1)
    elif command == "activations":
        arguments += [picture, "--model", "model"]
        places = mostly(st.sampled_from(("5,5", "60,9", "999,0")), WILD_WORDS)
        options({"--at": places, "--end": _layer(), "--max-size": DREAMING["--max-size"]}, 3)
    elif command == "atlas":
        few = mostly(st.sampled_from(("0", "0-2", "1,3", "7-9", "3-1")), WILD_WORDS)
        sizes = mostly(_text(st.integers(30, 60)), _text(WILD_INTEGERS), WILD_WORDS)
        arguments += [draw(_layer()), "--model", "model", "-o", "atlas", "--iters", "1", f"--channels={draw(few)}"]
        writes = ("atlas/",)
        options({"--size": sizes, "--seed": DREAMING["--seed"]}, 2)
    else:
        arguments += ["--model", draw(mostly(st.just("model"), WILD_WORDS, st.sampled_from(("modle", "photo.png"))))]
    return arguments, writes


# --- The library -----------------------------------------------------------------------------------------------------

NOT_NUMBERS = st.one_of(
    st.none(),
    st.text(max_size=3),
    st.booleans(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)
OBJECTIVES = mostly(
    st.sampled_from(
        (
            {"objective": "L2"},
            {"objective": "channels", "indices": [0, 1]},
            {"objective": "guided"},
            {"objective": "label", "label": "cat"},
            {
                "objective": "sum",
                "terms": [{"objective": "L2", "weight": -0.5}, {"objective": "channels", "indices": [0]}],
            },
        )
    ),
    st.fixed_dictionaries(
        {"objective": st.sampled_from(("L2", "channels", "label", "guided", "sum", "", "x"))},
        optional={
            "indices": NOT_NUMBERS,
            "terms": NOT_NUMBERS,
            "guide": NOT_NUMBERS,
            "label": NOT_NUMBERS,
            "weight": WILD_NUMBERS,
        },
    ),
    NOT_NUMBERS,
)


def calls():
    """What `dream` below is asked."""
    return st.fixed_dictionaries(
        {
            "shape": mostly(_sizes().map(lambda size: [*size, 3]), st.lists(st.integers(0, 50), max_size=4)),
            "dtype": mostly(
                st.sampled_from(("float32", "uint8", "float64", "int16")),
                st.sampled_from(("bool", "complex64", "object", "S3", "float16", "datetime64[s]")),
            ),
            "fill": mostly(st.floats(0, 255), WILD_NUMBERS),
        },
        optional={
            "iter_n": mostly(st.integers(1, 3), st.integers(-5, 0), NOT_NUMBERS),
            "octave_n": mostly(st.integers(1, 4), WILD_INTEGERS, WILD_NUMBERS, NOT_NUMBERS),
            "octave_scale": mostly(st.floats(1, 2), WILD_NUMBERS, NOT_NUMBERS),
            "end": mostly(
                st.sampled_from(LAYERS),
                WILD_WORDS,
                NOT_NUMBERS,
                st.dictionaries(st.sampled_from(LAYERS), st.one_of(st.floats(-2, 2), NOT_NUMBERS), max_size=3),
            ),
            "clip": mostly(st.booleans(), NOT_NUMBERS),
            "step_size": mostly(st.floats(-5, 5), WILD_NUMBERS, NOT_NUMBERS),
            "jitter": mostly(st.integers(0, 40), WILD_INTEGERS, WILD_NUMBERS, NOT_NUMBERS),
            "seed": mostly(st.integers(0, 2**32 - 1), WILD_INTEGERS, WILD_NUMBERS, NOT_NUMBERS),
            "tile": mostly(st.sampled_from((None, "auto", 64, 80)), WILD_INTEGERS, WILD_NUMBERS, NOT_NUMBERS),
            "wrap": mostly(st.sampled_from((None, "x", "xy")), WILD_WORDS, NOT_NUMBERS),
            "mask": mostly(
                st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=3, max_size=3),
                st.lists(st.lists(WILD_NUMBERS, max_size=2), max_size=2),
                NOT_NUMBERS,
            ),
            "objective": OBJECTIVES,
        },
    )


def dream(asked):
    """Dream as asked, on the tiny network; in the sandbox."""
    import numpy as np

    import deepdream as dd
    from deepdream.recipes.objective_spec import objective_from_spec

    asked = json.loads(asked)
    try:
        shape, dtype, fill = asked.pop("shape"), asked.pop("dtype"), asked.pop("fill")
        rng = np.random.RandomState(0)
        try:
            if math.prod(shape) > 10**8:  # the test's own array; what comes of huge pictures, the commands ask
                raise MemoryError
            with np.errstate(all="ignore"):
                image = np.nan_to_num(rng.uniform(0, 1, shape) * 99).astype(dtype)
                if image.size:
                    image.flat[0] = fill
        except (MemoryError, ValueError, TypeError, OverflowError):
            return 0
        net = dd.load("model")
        if "objective" in asked:
            spec = asked["objective"]
            if spec == {"objective": "guided"}:
                spec = None
                asked["objective"] = dd.guided(net, rng.uniform(0, 255, (30, 40, 3)), "both")
            else:
                asked["objective"] = objective_from_spec(net, spec, asked.get("end"))
        result = dd.deepdream(net, image, **asked)
        if result.shape != image.shape or result.dtype != np.float32 or not np.isfinite(result).all():
            raise AssertionError(f"the dream is {result.dtype} {result.shape}, of {image.shape}, or not finite")
    except dd.DreamError as error:
        if "\n" in str(error) or len(str(error)) < 10:
            raise AssertionError("the reason is not one line") from error
        print(f"deepdream: {error}", file=sys.stderr)
        return 2


# --- Both ------------------------------------------------------------------------------------------------------------


def run(count, number, folder, report=lambda *_: None):
    """Draw `count` sets and run each.

    Args:
        count: how many sets, half of them for the commands, half for the library.
        number: Hypothesis's seed.
        folder: where the sandbox makes its folders.
        report: called with each (kind, what was asked, Outcome).

    Returns:
        ({kind: {outcome: number}}, the most memory of a case in bytes).

    Raises:
        AssertionError: a set failed; it was made as small as possible.
    """
    whole = files.Seeds()
    given_files = {**whole.model, **whole.photo, **SCHEDULES}
    counts, most = collections.defaultdict(collections.Counter), 0

    def judge(kind, asked, outcome):
        nonlocal most
        most = max(most, outcome.memory)
        counts[kind][outcome.kind] += 1
        report(kind, asked, outcome)
        assert outcome.good, f"{asked}\n{outcome.kind}: {outcome.detail}"

    def drawing(share, strategy):
        def decorate(function):
            return seed(number)(
                settings(
                    max_examples=share,
                    deadline=None,
                    database=None,
                    print_blob=False,
                    phases=(Phase.generate, Phase.shrink),
                    suppress_health_check=list(HealthCheck),
                )(given(strategy)(function))
            )

        return decorate

    with sandbox.Sandbox(Path(folder) / "parameters") as box:

        @drawing(count - count // 2, commands())
        def of_commands(drawn):
            arguments, writes = drawn
            judge(
                "command " + arguments[0],
                arguments,
                box.run(given_files, command=arguments, writes=writes, look=files.look_at_picture),
            )

        @drawing(count // 2, calls())
        def of_the_library(asked):
            judge("library", asked, box.run(given_files, call=("parameters", "dream", json.dumps(asked))))

        of_commands()
        of_the_library()
    return {kind: dict(each) for kind, each in sorted(counts.items())}, most
