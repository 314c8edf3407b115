"""FFmpeg's filters, joined into a chain."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av import VideoFrame
    from av.filter import Graph
    from av.filter.context import FilterContext


def filter_graph(
    av: ModuleType, templates: Sequence[VideoFrame], *chain: tuple[str, str | None]
) -> tuple[Graph, list[FilterContext]]:
    """Join filters into a chain with one or more sources.

    Args:
        av: PyAV.
        templates: for each source a frame like those that it will be fed; the sources lead into the first filter.
        chain: (name, options) of each filter.

    Returns:
        The graph, to pull frames from, and its sources, to push frames into.
    """
    graph = av.filter.Graph()
    sources = [graph.add_buffer(template=frame, time_base=templates[0].time_base) for frame in templates]
    nodes = [graph.add(*step) for step in chain] + [graph.add("buffersink")]
    for number, source in enumerate(sources):
        source.link_to(nodes[0], 0, number)
    for node, following in zip(nodes, nodes[1:]):
        node.link_to(following)
    graph.configure()
    return graph, sources
