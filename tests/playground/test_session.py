"""A visitor's session, with a worker of its own and without a browser."""

import io
import itertools
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import FORM, png_bytes
from PIL import Image

import deepdream as dd
from deepdream import Recipe
from deepdream.data import clouds
from deepdream.io.arrays import to_uint8
from deepdream.playground import progress
from deepdream.playground.records import STOP
from deepdream.playground.uploads import Limits
from deepdream.playground.worker import Worker

send = Worker.send


class TestSession:
    def test_upload_dream_and_download(self, visitor, photo, squeezenet):
        page = visitor()
        assert page.upload("holiday.png", photo)["size"] == "144×96"
        message, (shown,) = page.dream(strength=0.75)
        assert message["how"] == "done", message
        steps = [m for m, _ in page.said if m["event"] == "step"]
        assert [(m["octave"], m["iteration"]) for m in steps] == [(o, i) for o in range(2) for i in range(3)]
        assert all(m["objective"] > 0 for m in steps) and steps[-1]["left"] == 0
        assert Image.open(io.BytesIO(shown)).size == (96, 64)

        name, data = page.download()
        assert name == "holiday-dream.png"
        recipe = Recipe.from_image(io.BytesIO(data))
        assert (recipe.input, recipe.seed, recipe.max_size) == ("holiday.png", 5, 96)
        again = recipe.render(image=dd.read_image(io.BytesIO(photo)), net=squeezenet)
        np.testing.assert_array_equal(to_uint8(again), np.asarray(Image.open(io.BytesIO(data))))

    def test_a_dreamt_picture_brings_its_settings_back(self, visitor):
        page = visitor()
        form = {**FORM, "iter_n": 2, "octave_scale": 1.3, "strength": 0.5}
        assert page.dream(**form)[0]["how"] == "done"
        for kind in ("png", "jpg"):
            name, data = page.download(kind)
            assert name.endswith(kind)
            message = page.upload(name, data)
            assert message["form"] == form
            assert message["origin"] in ("sky", "clouds")
            assert message["notes"] == []

    def test_stop_keeps_what_is_there_and_dream_again_goes_on_from_it(self, visitor, photo, squeezenet):
        page = visitor()
        page.upload("holiday.png", photo)
        since = len(page.said)
        page.ask("dream", form={**FORM, "iter_n": 50})
        page.wait("step", since=since)
        message, _ = page.do("stop", until=("ended",))
        assert message["how"] == "stopped", message
        stopped = page.download()[1]
        recipe = Recipe.from_image(io.BytesIO(stopped))
        assert (recipe.kind, recipe.more["octave"]) == ("stopped dream", 0)
        pixels = np.asarray(Image.open(io.BytesIO(stopped)))
        assert pixels.shape == (64, 96, 3)
        made = recipe.render(image=dd.read_image(io.BytesIO(photo)), net=squeezenet)
        np.testing.assert_array_equal(to_uint8(made), pixels)

        assert page.dream(again=True)[0]["how"] == "done"
        name, data = page.download()
        recipe = Recipe.from_image(io.BytesIO(data))
        assert (name, recipe.input) == ("holiday-dream-2.png", "holiday-dream.png")
        made = recipe.render(image=dd.read_image(io.BytesIO(stopped)), net=squeezenet)
        np.testing.assert_array_equal(to_uint8(made), np.asarray(Image.open(io.BytesIO(data))))

    def test_a_guide_and_a_label(self, visitor, photo, squeezenet):
        page = visitor(Limits(guide_side=128))
        page.upload("holiday.png", photo)
        assert page.dream()[0]["how"] == "done"
        plain = np.asarray(Image.open(io.BytesIO(page.download()[1])))
        wide = clouds.clouds(300, 600, seed=9)
        assert page.upload("wide.png", png_bytes(wide), which="guide")["note"].startswith("scaled down to 128×64")
        assert page.dream()[0]["how"] == "done"
        data = page.download()[1]
        recipe, guided = Recipe.from_image(io.BytesIO(data)), np.asarray(Image.open(io.BytesIO(data)))
        assert (recipe.objective, recipe.guide) == ({"objective": "guided"}, "wide.png")
        assert (guided != plain).any()
        made = recipe.render(dd.read_image(io.BytesIO(photo)), np.float32(to_uint8(wide)), net=squeezenet)
        np.testing.assert_array_equal(to_uint8(made), guided)

        assert "choose one" in page.dream(label="banana")[0]["text"]
        page.ask("unguide")
        assert page.dream(label="banana")[0]["how"] == "done"
        assert Recipe.from_image(io.BytesIO(page.download()[1])).objective["label"] == "banana"

    def test_a_killed_worker_leaves_what_was_dreamt_and_a_fresh_one_follows(self, visitor):
        page = visitor()
        page.ask("dream", form={**FORM, "iter_n": 50})
        page.wait("step")
        first = page.session._worker.pid
        os.kill(first, signal.SIGKILL)
        message, _ = page.wait("ended")
        assert message["how"] == "died"
        assert "SIGKILL" in message["text"] and "memory" in message["text"]
        assert Recipe.from_image(io.BytesIO(page.download()[1])).kind == "stopped dream"
        assert page.dream()[0]["how"] == "done"
        assert page.session._worker.pid != first

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux can limit the memory of another process")
    def test_memory_that_runs_out_is_said(self, visitor):
        import resource

        page = visitor()
        assert page.dream()[0]["how"] == "done"
        worker = page.session._worker.pid
        used = int(Path(f"/proc/{worker}/statm").read_text().split()[0]) * resource.getpagesize()
        resource.prlimit(worker, resource.RLIMIT_AS, (used + 2**24, used + 2**24))
        message, _ = page.dream(max_size=1024, octave_n=1, iter_n=1)
        assert message["how"] == "failed"
        assert "memory" in message["text"].lower()
        if page.session._worker.alive():
            page.session._worker.end()
        assert page.dream()[0]["how"] == "done"

    def test_two_pages_wait_for_each_other(self, visitor):
        one, two = visitor(), visitor()
        one.ask("dream", form={**FORM, "iter_n": 50})
        one.wait("step")
        two.ask("dream", form=FORM)
        assert two.wait("waiting")[0]["ahead"] == 1
        assert not [m for m, _ in two.said if m["event"] == "begun"]
        assert "one dream at a time" in two.do("dream", form=FORM, until=("refused",))[0]["text"]
        assert one.do("stop", until=("ended",))[0]["how"] == "stopped"
        assert two.wait("ended")[0]["how"] == "done"

    def test_leaving_the_queue(self, visitor):
        one, two = visitor(), visitor()
        one.ask("dream", form={**FORM, "iter_n": 50})
        one.wait("step")
        two.ask("dream", form=FORM)
        two.wait("waiting")
        assert two.do("stop", until=("ended",))[0]["how"] == "stopped"
        one.do("stop", until=("ended",))
        assert two.dream()[0]["how"] == "done"

    def test_a_worker_that_nobody_asks_ends(self, visitor, monkeypatch):
        from deepdream.playground import session, worker

        monkeypatch.setattr(session, "Worker", lambda: worker.Worker(idle=0.2))
        page = visitor()
        assert page.dream()[0]["how"] == "done"
        first = page.session._worker
        assert first._process.wait(timeout=20) == 0
        assert page.dream()[0]["how"] == "done"
        assert page.session._worker is not first

    def test_errors_of_the_library_reach_the_page(self, visitor):
        page = visitor()
        message, _ = page.dream(end="no/such/layer")
        assert message["how"] == "failed" and "no layer 'no/such/layer'" in message["text"]
        message, _ = page.dream(octave_n=8)
        assert message["how"] == "failed" and "too few to dream" in message["text"]
        assert page.dream()[0]["how"] == "done"

    def test_a_large_picture_is_taken_and_scaled_with_a_note(self, visitor):
        page = visitor(Limits(side=300))
        message = page.upload("large.png", png_bytes(np.zeros((400, 800, 3))))
        assert message["note"] == "scaled down to 300×150, the largest size here"
        assert (message["width"], message["height"], message["size"]) == (300, 150, "800×400")

    def test_refused_uploads_leave_the_picture_as_it_was(self, visitor):
        page = visitor()
        for name, data in (("text.png", b"just text"), ("empty.png", b"")):
            assert page.upload(name, data)["event"] == "refused"
        # More bytes than were announced, and pieces of a file that never began.
        more = {"name": "a.png", "size": 10, "first": True, "until": ("refused",), "for": "picture"}
        assert "is larger than announced" in page.do("upload", b"x" * 11, **more)[0]["text"]
        assert not page.session._uploads
        page.ask("upload", b"x", name="b.png", size=10, first=False, **{"for": "guide"})
        assert page.session._picture.data is None
        assert page.dream()[0]["how"] == "done"

    @pytest.mark.parametrize(
        "message",
        [
            {},
            None,
            7,
            {"do": "close"},
            {"do": "_taken"},
            {"do": ["open"]},
            {"do": "choose", "name": "/etc/passwd", "for": "picture"},
            {"do": "choose", "name": "cat", "for": "worker"},
            {"do": "upload", "name": "a", "size": 1, "for": 3},
            {"do": "dream"},
            {"do": "dream", "form": 3},
            {"do": "dream", "form": {}},
            {"do": "download"},
        ],
    )
    def test_any_message_is_answered(self, visitor, message):
        page = visitor()
        since = len(page.said)
        page.session.handle(message, [])
        assert page.wait("refused", since=since)

    def test_a_made_up_recipe_is_no_harm(self, visitor):
        from PIL.PngImagePlugin import PngInfo

        page = visitor()
        texts = [
            "[" * 50_000,
            '{"recipe": 1, "seed": "x"}',
            '{"recipe": 1, "input": "/etc/passwd", "model": "/etc"}',
            '{"recipe": 1, "seed": 99999999999999999999, "iter_n": 1' + "0" * 400 + "}",
            '{"recipe": 1, "end": {"a": "b"}}',
            '{"recipe": 1, "objective": {"objective": ["x"]}}',
        ]
        for text in texts:
            info = PngInfo()
            info.add_text("deepdream", text)
            message = page.upload("made-up.png", png_bytes(np.zeros((40, 40, 3)), pnginfo=info))
            assert message["event"] == "picture", message
            assert message.get("origin") in (None, "sky")  # what a recipe names when it names none, where there is one

    def test_a_painted_mask_keeps_the_rest(self, visitor):
        page = visitor()
        mask = np.zeros((60, 90, 3))
        mask[:, :45] = 255
        page.upload("small.png", png_bytes(clouds.clouds(60, 90)))
        page.ask("dream", png_bytes(mask), form=FORM)
        message, _ = page.wait("ended")
        assert message["how"] == "done", message
        file = page.download()[1]
        recipe, made = Recipe.from_image(io.BytesIO(file)), np.asarray(Image.open(io.BytesIO(file)))
        assert (recipe.mask, len(recipe.mask_sha256)) == ("painted-mask.png", 64)
        assert np.array_equal(made[:, 50:], to_uint8(clouds.clouds(60, 90))[:, 50:])
        assert not np.array_equal(made[:, :40], to_uint8(clouds.clouds(60, 90))[:, :40])

    @pytest.mark.parametrize(
        "mask",
        [b"x", b"\x89PNG\r\n\x1a\n", png_bytes(np.zeros((1800, 1800, 3))), bytes(2_000_000)],
        ids=["text", "cut off", "large", "long"],
    )
    def test_what_is_no_mask_is_refused(self, visitor, mask):
        page = visitor()
        since = len(page.said)
        page.ask("dream", mask, form=FORM)
        assert page.wait("refused", since=since)
        assert page.dream()[0]["how"] == "done"

    def test_a_mask_of_other_proportions_is_told(self, visitor):
        page = visitor()
        page.ask("dream", png_bytes(np.full((40, 40, 3), 255)), form=FORM)
        message, _ = page.wait("ended")
        assert message["how"] == "failed" and "give it the same proportions" in message["text"]

    def test_every_layer_is_tried_and_a_trial_can_be_stopped(self, visitor):
        page = visitor()
        page.ask("try", model=FORM["model"])
        message, _ = page.wait("ended")
        layers = [said["layer"] for said, _ in page.said if said["event"] == "tried"]
        assert (message["how"], message["done"], layers) == ("tried", 10, list(dd.find_model(FORM["model"]).ladder))
        shown = [
            np.asarray(Image.open(io.BytesIO(buffers[0]))) for said, buffers in page.said if said["event"] == "tried"
        ]
        assert all(image.shape == (112, 168, 3) for image in shown)
        assert not any(np.array_equal(one, other) for one, other in itertools.combinations(shown, 2))
        assert page.dream()[0]["how"] == "done"
        since = len(page.said)
        page.ask("try", model=FORM["model"])
        page.wait("tried", since=since)
        message, _ = page.do("stop", until=("ended",))
        assert message["how"] == "tried" and message["done"] < 10

    @pytest.mark.parametrize("model", [None, 3, "/etc", "no model", ["x"]])
    def test_a_trial_of_another_model_is_refused(self, visitor, model):
        page = visitor()
        since = len(page.said)
        page.ask("try", model=model)
        assert "there is no model" in page.wait("refused", since=since)[0]["text"]

    def test_a_dream_ends_when_its_time_is_over(self, visitor):
        page = visitor()
        assert page.dream()[0]["how"] == "done"  # the worker has started: only the dream is timed
        page.session.limits = Limits(seconds=1)
        began = time.monotonic()
        message, buffers = page.dream(iter_n=50, octave_n=8, max_size=480, octave_scale=1.1)
        assert time.monotonic() - began < 30
        assert (message["how"], len(buffers)) == ("stopped", 1), message
        assert message["text"] == "A dream may take 1 s here."
        assert Recipe.from_image(io.BytesIO(page.download()[1])).kind == "stopped dream"

    def test_a_worker_that_does_not_stop_is_ended_and_the_dream_kept(self, visitor, monkeypatch):
        monkeypatch.setattr(progress, "_STOP_TIMEOUT_S", 0)
        monkeypatch.setattr(Worker, "send", lambda self, what: None if what == STOP else send(self, what))
        page = visitor()
        page.ask("dream", form={**FORM, "iter_n": 50, "max_size": 480})
        page.wait("step")
        message, buffers = page.do("stop", until=("ended",))
        assert (message["how"], len(buffers)) == ("died", 1), message
        assert message["text"].startswith("The dream did not stop by itself. The next dream starts a new worker.")
        assert not page.session._worker.alive()

    def test_one_download_at_a_time(self, visitor, monkeypatch):
        page = visitor()
        page.dream()
        go = threading.Event()
        monkeypatch.setattr(progress.Result, "file", lambda self, suffix: go.wait(30) and b"file")
        page.ask("download", kind="png")
        assert page.do("download", kind="png", until=("refused",))[0]["text"].startswith("one download at a time")
        since = len(page.said)
        go.set()
        page.wait("download", since=since)
        assert page.download() == ("sky-dream.png", b"file") or page.download() == ("clouds-dream.png", b"file")

    def test_a_page_that_is_left_keeps_nothing(self, visitor, photo):
        page = visitor()
        page.do("upload", photo[:10], name="a.png", size=len(photo), first=True, until=("more",), **{"for": "guide"})
        page.ask("leave")
        assert not page.session._uploads
        assert page.do("dream", form=FORM, until=("refused", "ended"))[0]["event"] == "refused"
