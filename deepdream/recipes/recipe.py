"""A dream as data: its inputs and settings, so that it can be made again.

The central type is `Recipe`: the data of `fields` with the functions of `render` as methods. Every image that the
command writes contains one as JSON; `Recipe.from_image` reads it back, and `Recipe.render` makes the image again, bit
for bit on the same build.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Union

from .._types import Image
from ..io.source import ImageSource, source_of
from ..network.net import Net
from . import render
from .fields import RecipeFields
from .inputs import FittedMask
from .render import Guides

Named = Union[Image, str, Path]  # an image, or where it is


class Recipe(RecipeFields):
    """The inputs and settings of a dream.

    Args:
        input: the image's name, as for `deepdream.picture`.
        input_sha256: the hash of its pixels.
        model: the network's name or folder.
        weights_sha256: the hash of its file of weights.
        objective: the objective as data (`deepdream.recipes.objective_spec`), or only its name, such as "L2". `None`:
            "guided" if there is a guide, else "L2".
        guide: the name of the guide of a guided dream, as for `input`; of several, a list.
        guide_sha256: the hash of its pixels; of several, a list.
        end: see `deepdream`.
        iter_n: see `deepdream`.
        octave_n: see `deepdream`.
        octave_scale: see `deepdream`.
        clip: see `deepdream`.
        step_size: see `deepdream`.
        jitter: see `deepdream`.
        seed: see `deepdream`; `None` draws one immediately.
        tile: see `deepdream`.
        max_size: the input is first scaled down to this longer side, in pixels.
        strength: the share of the dream that is blended into the input, 0..1.
        mask: the name of the mask, as for `input`, or "alpha" for the input's own transparency; `None`: there is none.
        mask_sha256: the hash of its pixels.
        mask_feather: the width of its edges in pixels, see `read_mask`.
        mask_invert: see `read_mask`.
        wrap: see `deepdream`.
        schedule: the `spec` of a `Schedule`; its guides are those of `guide`, in its order.
        kind: "dream", "channel", "label", "stopped dream" or "zoom"; some keep additional values in `more`.
        more: see `kind`.
        versions: the versions of the software that made the image.

    The hashes and versions are filled in by `complete`; if they are `None`, nothing is compared.

    Raises:
        ParameterError: a value has the wrong type.

    Example:
        >>> recipe = dd.Recipe(input="cat", model="squeezenet_v1.1", iter_n=1, octave_n=1, max_size=80, seed=7)
        >>> recipe.render(net=net).shape
        (53, 80, 3)
        >>> dd.Recipe.from_json(recipe.to_json()) == recipe
        True
    """

    def render(
        self,
        image: Named | None = None,
        guide: Named | Sequence[Named] | None = None,
        net: Net | None = None,
        search_dir: str | Path | None = None,
        mask: Named | None = None,
    ) -> Image:
        """Make the image.

        Differences from the recipe (the input, the weights, a version) are logged, a line each.

        Args:
            image: an array (H, W, 3) or a name to dream on; `None`: the recorded input, searched by name and hash.
            guide: the same for the guide; of several, a list.
            net: a loaded network; `None`: the recorded model is loaded.
            search_dir: an additional folder to search for the input, the guide and the mask.
            mask: as `image`, for the mask.

        Returns:
            float32 (H, W, 3), RGB.

        Raises:
            DreamError: something is missing; the message names it.
        """
        return self.make(image, guide, net, search_dir, mask=mask)[0]

    def make(
        self,
        image: Named | None = None,
        guide: Named | Sequence[Named] | None = None,
        net: Net | None = None,
        search_dir: str | Path | None = None,
        progress: Callable[[float], Any] | None = None,
        gpu: int | str | None = None,
        mask: Named | None = None,
    ) -> tuple[Image, Recipe]:
        """Make the image, and complete the recipe: `render` and `complete` in one call.

        Args:
            image: as in `render`.
            guide: as in `render`.
            net: as in `render`.
            search_dir: as in `render`.
            progress: called with the share that is done, 0..1, after each step.
            gpu: the device of a network that has to be loaded, as in `deepdream.load`.
            mask: as in `render`.

        Returns:
            (image, complete recipe).
        """
        return render.make(self, image, guide, net, search_dir, progress, gpu, mask)

    def complete(
        self, net: Net, image: Image | ImageSource, guide: Guides | None = None, mask: FittedMask | None = None
    ) -> Recipe:
        """The recipe with all values that determine the pixels.

        Args:
            net: the network.
            image: the input in full size, (H, W, 3), or an `ImageSource` of it.
            guide: the same for the guide of a guided dream; of several, a list.
            mask: the mask, from `fit_mask`, if there is one.

        Returns:
            A `Recipe` whose `end` names layers and whose `tile` is a number or `None`, with the hashes of the input,
            the guide and the weights, and the versions of the software here.
        """
        return render.complete(self, net, image, guide, mask)

    def settings(self, net: Net, guide: Guides | None = None, mask: FittedMask | None = None) -> dict[str, Any]:
        """The keyword arguments of `deepdream` and `dream_steps`; the image for them comes from `fit`."""
        return render.settings(self, net, guide, mask)

    def fit(self, image: Image | ImageSource) -> Image:
        """The input at the size that is dreamt on, no larger than `max_size`."""
        return render.fit_input(self, image)

    def fit_mask(
        self, image: Image | ImageSource, mask: Named | ImageSource | None = None, search_dir: str | Path | None = None
    ) -> FittedMask | None:
        """The mask at the size that is dreamt on, and its hash.

        Args:
            image: the input in full size.
            mask: as in `render`.
            search_dir: as in `render`.

        Returns:
            Its values, float32 (H, W), 0..1, with their hash; `None` if the recipe has no mask.
        """
        return render.find_mask(self, source_of(image), mask, search_dir)

    def blend(self, image: Image, dream: Image) -> Image:
        """The image of a recipe: `strength` of the dream on the input that `fit` returned."""
        return render.blend(self, image, dream)

    def load(self, gpu: int | str | None = None) -> Net:
        """The recorded network, on this device (`deepdream.load`)."""
        return render.load_net(self, gpu)

    def pictures(
        self,
        image: Named | None = None,
        guide: Named | Sequence[Named] | None = None,
        search_dir: str | Path | None = None,
    ) -> tuple[Image, Image | list[Image] | None]:
        """(input, guide): the arrays for the recipe, given or found; see `render`."""
        source, guide_sources, _ = render.find_inputs(self, image, guide, search_dir)
        guides = [each.full() for each in guide_sources]
        return source.full(), guides if len(guides) > 1 else guides[0] if guides else None
