"""A channel atlas: an image of each channel of a layer, from noise, and a page to browse and search them.

An atlas is a gallery whose recipes have the kind "channel". So it is resumed as a gallery is, and can be made on a
cluster. The page names, for each channel, the classifier's label for its image, and the bundled images in which it is
strongest.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

import numpy as np

from .._types import Image
from ..classification import classify
from ..data.bundled import picture
from ..errors import ImageError, ModelError
from ..io.files import atomic_path
from ..network.activations import layer_activations
from ..network.net import Net
from .gallery_file import SEED, Entry, Gallery
from .inputs import abbreviate_home
from .page_style import COLOURS
from .recipe import Recipe

SIZE = 128  # pixels
ITER_N = 30
_PICTURES = ("cat", "face", "coffee", "rocket", "clouds")
_PICTURE_SIZE = 320  # pixels
_STRONGEST_N = 2
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{colours}
body {{ margin: 0 auto; max-width: 100rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 14px/1.4 system-ui, sans-serif }}
h1 {{ font-size: 1.5rem; margin: 0 0 .5rem; overflow-wrap: anywhere }}
p {{ max-width: 46rem; color: var(--soft) }}
input {{ font: inherit; padding: .45rem .7rem; width: min(24rem, 100%); box-sizing: border-box; border-radius: .4rem;
  border: 1px solid var(--line); background: transparent; color: inherit }}
main {{ display: grid; gap: 1rem; margin-top: 1.5rem; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)) }}
figure {{ margin: 0 }}
figure[hidden] {{ display: none }}
figure img, figure div {{ width: 100%; aspect-ratio: 1; display: block; background: var(--line) }}
figcaption span {{ display: block; color: var(--soft) }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>What each channel looks for: an image from noise to which it responds strongly. Below it are the classifier's label
for that image, and the bundled images in which the channel is strongest, with their labels.</p>
<label>Search: <input id="search" type="search" placeholder="a number, or a word: cat, 17"></label>
<span id="count" role="status"></span>
<main>
{figures}
</main>
<script>
"use strict";
const search = document.getElementById("search");
const figures = [...document.querySelectorAll("figure")];
function filter() {{
  const wanted = search.value.trim().toLowerCase();
  const number = /^#?\\d+$/.test(wanted) ? wanted.replace("#", "") : null;
  let shown = 0;
  for (const figure of figures) {{
    const found = number === null ? figure.dataset.words.includes(wanted) : figure.dataset.channel === number;
    figure.hidden = wanted !== "" && !found;
    shown += !figure.hidden;
  }}
  document.getElementById("count").textContent = wanted === "" ? "" : `${{shown}} of ${{figures.length}}`;
}}
search.addEventListener("input", filter);
filter();
</script>
</body>
</html>
"""


def atlas_gallery(
    model: str, layer: str, channels: Iterable[int], size: int = SIZE, iter_n: int = ITER_N, seed: int = SEED
) -> Gallery:
    """The images of channels as a gallery.

    Args:
        model: the name of a model, or its folder.
        layer: the name of a layer.
        channels: the channels' numbers.
        size: the side of each image in pixels.
        iter_n: steps at each scale, see `deepdream.channel_picture`.
        seed: see `deepdream.channel_picture`.
    """
    entries = []
    for channel in channels:
        recipe = Recipe(
            kind="channel",
            input=f"noise:{size}x{size}",
            model=abbreviate_home(model),
            end=layer,
            objective={"objective": "channels", "indices": [channel]},
            iter_n=iter_n,
            seed=seed,
        )
        entries.append(Entry(image_name(layer, channel), recipe, title=f"channel {channel}"))
    return Gallery(f"The channels of {layer} in {model}", "", tuple(entries))


def image_name(layer: str, channel: int) -> str:
    """The name of a channel's image in the folder of an atlas, without suffix."""
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '-', layer)}-{channel:04}"


def channels_in(folder: Path, layer: str) -> list[int]:
    """The channels of a layer that have an image in the folder of an atlas, which need not exist; ascending."""
    pattern = re.compile(re.escape(image_name(layer, 0)[:-4]) + r"([0-9]{4,5})\.png")
    names = os.listdir(folder) if folder.is_dir() else []
    return sorted({int(found[1]) for name in names if (found := pattern.fullmatch(name))})


def other_settings(gallery: Gallery, folder: Path) -> str:
    """How the images of an atlas in a folder differ from those of a gallery; empty if they do not."""
    for entry in gallery.entries:
        with contextlib.suppress(ImageError):  # there is no such image, or it has another origin
            made = Recipe.from_image(folder / f"{entry.name}.png")
            for name, option in (("model", "model"), ("input", "size"), ("iter_n", "iters"), ("seed", "seed")):
                before, now = str(getattr(made, name)), str(getattr(entry.recipe, name))
                if before != now and name == "input":  # noise:128x128
                    before, now = before.rpartition("x")[2], now.rpartition("x")[2]
                if before != now:
                    return f"--{option} {before} and not {now}"
            break  # the others were made by the same command
    return ""


def strongest_pictures(net: Net, layer: str) -> list[str]:
    """For each channel of a layer the bundled images in which it is strongest, with the classifier's labels.

    Args:
        net: the network.
        layer: a checked layer.

    Returns:
        A text for each channel.
    """
    names, peaks = [], []
    for name in _PICTURES:
        img = picture(name, max_size=_PICTURE_SIZE)
        label = label_of(net, img)
        names.append(f"{name} ({label})" if label else name)
        values = layer_activations(net, img, layer)
        peaks.append(values.reshape(len(values), -1).max(axis=1))
    table = np.array(peaks)
    order = np.argsort(-table, axis=0, kind="stable")[:_STRONGEST_N]
    found = [", ".join(names[i] for i in order[:, c] if table[i, c] > 0) for c in range(table.shape[1])]
    return [f"strongest in {text}" if text else "silent in the bundled images" for text in found]


def label_of(net: Net, img: Image) -> str:
    """The first name of the label that a network gives to an image; empty if it is not a classifier."""
    try:
        label, _ = classify(net, img, top=1)[0]
    except ModelError:
        return ""
    return label.partition(",")[0]


def write_atlas_page(gallery: Gallery, folder: Path, texts: Mapping[int, str]) -> Path:
    """Write the page of an atlas.

    Args:
        gallery: from `atlas_gallery`.
        folder: the folder with its images; those that are missing are left blank.
        texts: {channel: what is said below its image}.

    Returns:
        The path of the page. There is one for each layer, so a folder may hold several.
    """
    figures = []
    for entry in gallery.entries:
        channel = channel_of(entry)
        file = f"{entry.name}.png"
        text = texts.get(channel, "")
        image = f'<a href="{file}"><img src="{file}" alt="channel {channel}" loading="lazy"></a>'
        figures.append(
            f'<figure data-channel="{channel}" data-words="{escape(text.lower())}">'
            f"{image if (folder / file).exists() else '<div></div>'}"
            f"<figcaption><b>{channel}</b><span>{escape(text)}</span></figcaption></figure>"
        )
    path = folder / f"{gallery.entries[0].name.rpartition('-')[0]}.html"
    with atomic_path(path) as temporary:
        page = _PAGE.format(colours=COLOURS, title=escape(gallery.title), figures="\n".join(figures))
        temporary.write_text(page, encoding="utf-8", errors="replace")
    return path


def channel_of(entry: Entry) -> int:
    """The channel of an atlas's entry."""
    assert isinstance(entry.recipe.objective, Mapping)
    return int(entry.recipe.objective["indices"][0])
