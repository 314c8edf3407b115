"""Hostile and vanishing visitors against a live server of the playground."""

import asyncio

import pytest
from wire import serve

from fuzz import visitors


@pytest.fixture(scope="module")
def server(tmp_path_factory, squeezenet_file):
    with serve(tmp_path_factory.mktemp("playground") / "cache", *visitors.OPTIONS, limits=visitors.LIMITS) as running:
        yield running


WAITING = visitors.silence, visitors.a_visitor_who_does_not_read  # half a minute each, for the server's own limits


@pytest.mark.parametrize(
    "attack",
    [pytest.param(each, marks=pytest.mark.slow) if each in WAITING else each for each in visitors.ATTACKS],
    ids=lambda attack: attack.__name__,
)
def test_nobody_else_notices(server, attack):
    asyncio.run(visitors.attacked(server, attack))


@pytest.mark.slow
def test_visitors_leave_nothing_behind(server):
    found = asyncio.run(visitors.soak(server, 12, seed=4, parts=2))
    assert visitors.left_behind(found) == []
    assert min(found["visitors"].values()) >= 2
