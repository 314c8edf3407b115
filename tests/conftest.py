"""What several test files share: the networks, which are loaded once, and an unprivileged user."""

import contextlib
import os

import pytest

import deepdream as dd
from deepdream import models


@pytest.fixture(scope="session")
def squeezenet_file():
    """The file of SqueezeNet's ImageNet weights, from the user's cache or the package index."""
    return models.weights_path(models.find_model("squeezenet_v1.1"))


@pytest.fixture(scope="session")
def squeezenet(squeezenet_file):
    """SqueezeNet with its ImageNet weights."""
    return dd.load("squeezenet_v1.1")


@pytest.fixture(scope="session")
def googlenet():
    """GoogLeNet with its ImageNet weights, where they are on this machine."""
    if models.local_weights(models.find_model("bvlc_googlenet")) is None:
        reason = "the weights of bvlc_googlenet are not on this machine; name their folder in DEEPDREAM_DATA"
        if os.environ.get("DEEPDREAM_TEST_DEMAND"):
            pytest.fail(reason)
        pytest.skip(reason)
    return dd.load("bvlc_googlenet")


@pytest.fixture
def unprivileged(tmp_path):
    """A context in which the file permissions hold for us as well: root would pass them all.

    The way to `tmp_path` is opened, so that it is the permissions inside that count.
    """
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)

    @contextlib.contextmanager
    def as_nobody():
        if os.geteuid() != 0:
            yield
            return
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
    return as_nobody
