"""A place to run the command in, with no other network than SqueezeNet."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import NO_SITE, ROOT, SMALL_DREAM, SQUEEZENET, run_commands


@pytest.fixture
def place(tmp_path, squeezenet_file):
    """An empty current folder, and an environment in which SqueezeNet is the only network that can be had."""
    cached = tmp_path / "cache" / "deepdream" / "models" / "squeezenet_v1.1" / squeezenet_file.name
    cached.parent.mkdir(parents=True)
    shutil.copy(squeezenet_file, cached)
    (tmp_path / "here").mkdir()
    return Place(tmp_path / "here", tmp_path / "cache")


class Place:
    def __init__(self, folder, cache):
        self.folder = folder
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("DEEPDREAM", "COLUMNS")) and not key.lower().endswith("_proxy")
        }
        self.environment = {
            **kept,
            "PYTHONPATH": str(ROOT),
            "XDG_CACHE_HOME": str(cache),
            "XDG_DATA_HOME": str(cache.with_name("data")),
            "http_proxy": NO_SITE,
            "https_proxy": NO_SITE,
        }

    def start(self, *arguments, **options):
        environment = {**self.environment, **options.pop("env", {})}
        return subprocess.Popen(
            [sys.executable, "-m", "deepdream", *map(str, arguments)],
            cwd=self.folder,
            env=environment,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def run(self, *arguments, **options):
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=120)
        decoded = [(text or b"").decode("utf-8", "surrogateescape") for text in (out, err)]
        return subprocess.CompletedProcess(arguments, process.returncode, *decoded)

    def run_many(self, commands):
        """Many commands in a short time."""
        return run_commands(self.folder, *commands, env=self.environment)

    def dream(self, *arguments, **options):
        """Dream with SqueezeNet at a tiny size; the path of the image it says it made."""
        done = self.run("dream", *arguments, *SQUEEZENET, *SMALL_DREAM, **options)
        assert done.returncode == 0, done.stderr
        return Path(done.stdout.splitlines()[-1])

    def files(self):
        return sorted(path.name for path in self.folder.iterdir())
