"""Helpers of the notebooks, which need the extra `notebooks`; nothing else in the package uses them.

`pictures` shows images and plots, `networks` draws small networks, `claims` checks what a notebook says and what its
reader answers, `controls` has sliders and an image that can be clicked on.
"""

from .claims import STRICT, check, claim
from .controls import click, explore
from .networks import draw_network
from .pictures import animate, scaled, sheet, show, show_figure

__all__ = [
    "STRICT",
    "animate",
    "check",
    "claim",
    "click",
    "draw_network",
    "explore",
    "scaled",
    "sheet",
    "show",
    "show_figure",
]
