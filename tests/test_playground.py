"""The playground without a browser: the queue, uploads, settings, and a session with a worker of its own."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import deepdream as dd
from deepdream import Recipe, pictures
from deepdream.errors import DreamError, ImageError, ParameterError
from deepdream.fetch import cache_folder
from deepdream.image import to_bytes
from deepdream.playground import settings, thumbnails, uploads
from deepdream.playground.session import Session
from deepdream.playground.turns import Turn
from deepdream.playground.uploads import Limits, Picture
from deepdream.playground.worker import Failed, Job, serve

LIMITS = Limits()
FORM = {**settings.default_form(LIMITS), "model": "squeezenet_v1.1", "end": "fire5/concat", "max_size": 96,
        "octave_n": 2, "iter_n": 3, "seed": 5}


def png(img, **options):
    file = io.BytesIO()
    Image.fromarray(to_bytes(img)).save(file, "PNG", **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def photo():
    """The bytes of a small picture file."""
    return png(pictures.clouds(96, 144, seed=3))


@pytest.fixture
def own_cache(tmp_path, monkeypatch, squeezenet_file):
    """A cache folder with the real weights and a queue that nobody else stands in."""
    models = cache_folder() / "models"
    (tmp_path / "cache" / "deepdream").mkdir(parents=True)
    (tmp_path / "cache" / "deepdream" / "models").symlink_to(models)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Visitor:
    """A page without a browser: what its session says is kept in `said`."""

    def __init__(self, limits=None):
        self.said, self._news = [], threading.Condition()
        self.session = Session(self._hear, limits)
        self.ask("open")
        self.wait("picture")

    def _hear(self, message, buffers):
        with self._news:
            self.said.append((message, buffers))
            self._news.notify_all()

    def ask(self, do, *buffers, **more):
        self.session.handle({"do": do, **more}, [memoryview(buffer) for buffer in buffers])

    def wait(self, *events, since=0, timeout=60):
        """(message, buffers) of the first of these events after the first `since` messages."""
        def find():
            return next((entry for entry in self.said[since:] if entry[0]["event"] in events), None)
        with self._news:
            assert self._news.wait_for(find, timeout), f"no {events} in {[m for m, _ in self.said[since:]]}"
            return find()

    def do(self, do, *buffers, until, **more):
        since = len(self.said)
        self.ask(do, *buffers, **more)
        return self.wait(*until, since=since)

    def upload(self, name, data, which="picture", piece=10_000):
        """Send a file as the page does, piece by piece; the message that comes of it."""
        start = 0
        while True:
            message, _ = self.do("upload", data[start:start + piece], name=name, size=len(data), first=start == 0,
                                 until=("more", "picture", "refused"), **{"for": which})
            if message["event"] != "more":
                return message
            start += piece
            assert message["have"] == start

    def dream(self, again=False, **form):
        return self.do("dream", form={**FORM, **form}, again=again, until=("ended", "refused"))

    def download(self, kind="png"):
        message, (data,) = self.do("download", kind=kind, until=("download", "refused"))
        return message["name"], data


@pytest.fixture
def visitor(own_cache):
    """Makes visitors, whose workers end with the test."""
    made = []

    def make(limits=None):
        made.append(Visitor(limits))
        return made[-1]
    yield make
    for each in made:
        each.session.close()


class TestTurns:
    def test_first_come_first_served(self, tmp_path):
        first, second, third = (Turn(tmp_path) for _ in range(3))
        assert [turn.ahead() for turn in (first, second, third)] == [0, 1, 2]
        second.close()
        assert [turn.ahead() for turn in (first, third)] == [0, 1]
        first.close()
        first.close()
        assert third.ahead() == 0
        third.close()
        assert [path.name for path in tmp_path.iterdir()] == ["lock"]

    def test_nobody_waits_for_a_process_that_was_killed(self, tmp_path):
        code = ("import sys, time; from deepdream.playground.turns import Turn; turn = Turn(sys.argv[1]); "
                "print('here', flush=True); time.sleep(60)")
        other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        try:
            assert other.stdout.readline() == "here\n"
            with Turn(tmp_path) as turn:
                assert turn.ahead() == 1
                other.kill()
                other.wait()
                assert turn.ahead() == 0
        finally:
            other.kill()
            other.communicate()

    def test_never_two_at_once(self, tmp_path):
        inside, most, order = [], [], []

        def take(number):
            with Turn(tmp_path) as turn:
                while turn.ahead():
                    time.sleep(0.001)
                inside.append(number)
                most.append(len(inside))
                order.append(turn._number)
                time.sleep(0.005)
                inside.remove(number)
        threads = [threading.Thread(target=take, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert max(most) == 1
        assert len(order) == 12


class TestUploads:
    def test_a_picture_is_read_from_its_bytes(self, photo):
        picture = uploads.uploaded("holiday.png", photo, LIMITS)
        assert picture.name == "holiday.png"
        np.testing.assert_array_equal(to_bytes(picture.read()), np.asarray(Image.open(io.BytesIO(photo))))

    @pytest.mark.parametrize("side, says", [(10_000, "100 megapixels"), (15_000, "megapixels")])
    def test_too_many_pixels_are_refused_before_they_are_unfolded(self, side, says, monkeypatch):
        bomb = io.BytesIO()
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # to make it
        Image.new("1", (side, side)).save(bomb, "PNG")
        monkeypatch.undo()
        assert len(bomb.getvalue()) < 1_000_000
        monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
        with pytest.raises(ImageError, match=says):
            uploads.uploaded("bomb.png", bomb.getvalue(), LIMITS)

    def test_the_limit_itself_is_taken(self):
        limits = Limits(megapixels=1)
        assert uploads.uploaded("a.png", png(np.zeros((1000, 1000, 3))), limits)
        with pytest.raises(ImageError, match=r"1000×1001 pixels, 1 megapixels; at most 1 are taken"):
            uploads.uploaded("a.png", png(np.zeros((1001, 1000, 3))), limits)

    def test_what_is_no_picture_is_refused(self, photo):
        postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
        for data in (b"just text", postscript, photo[:20], b"\x89PNG\r\n\x1a\n", b"P6 2 2 255\n" + bytes(12)):
            with pytest.raises(ImageError, match="not a picture that can be read"):
                uploads.uploaded("text.png", data, LIMITS)

    def test_a_damaged_picture_is_refused_when_it_is_decoded(self, photo):
        picture = uploads.uploaded("half.png", photo[:len(photo) // 2], LIMITS)
        with pytest.raises(ImageError, match=r"half\.png"):
            picture.read()

    def test_too_many_bytes(self):
        with pytest.raises(ImageError, match=r"a\.png has 33\.0 MB; a file may have up to 32 MB here"):
            uploads.check_size("a.png", 33_000_000, LIMITS)
        for size in (0, -1, "7", None, 1e3):
            with pytest.raises(ImageError):
                uploads.check_size("a.png", size, LIMITS)

    @pytest.mark.parametrize("given, clean", [
        ("holiday.jpg", "holiday.jpg"), ("../../etc/passwd", "passwd"), ("C:\\dir\\x.png", "x.png"), ("cat", "cat.png"),
        ("sky", "sky.png"), ("noise:64x64", "noise-64x64"), ("~/.ssh/id", "id"), ("~", "picture"), ("", "picture"),
        ("a\nb\0.png", "a-b-.png"), (".hidden", "hidden"), ("…/наш кот.jpeg", "наш кот.jpeg"),
        ("x" * 300 + ".png", "x" * 60 + ".png")])
    def test_names_never_mean_another_picture(self, given, clean):
        assert uploads.clean_name(given) == clean
        assert clean not in pictures.BUILT_IN
        assert not clean.startswith("noise:")

    def test_only_pictures_of_the_page_can_be_chosen(self, tmp_path, photo):
        path = tmp_path / "there.png"
        path.write_bytes(photo)
        for name in (str(path), "/etc/passwd", "noise:1601x2", "noise:99999x9", "noise:0x4", "noise:", "~", None, 7):
            with pytest.raises(ImageError, match="no picture of this page"):
                uploads.chosen(name, LIMITS)
        assert uploads.chosen("noise:64x32", LIMITS).read().shape == (32, 64, 3)
        assert uploads.chosen("cat", LIMITS) == Picture("cat")

    def test_names_of_dreams(self):
        assert uploads.next_name("cat") == "cat-dream.png"
        assert uploads.next_name("cat-dream.png") == "cat-dream-2.png"
        assert uploads.next_name("cat-dream-2.jpg") == "cat-dream-3.png"
        assert uploads.next_name("noise:64x64") == "noise-64x64-dream.png"


class TestSettings:
    def test_there_and_back(self):
        form = {**FORM, "strength": 0.5, "step_size": 2.0, "octave_scale": 1.3, "jitter": 7}
        back, notes = settings.form_of(settings.recipe_of(form, Picture("cat"), None, LIMITS), LIMITS)
        assert back == form
        assert notes == []

    def test_a_label(self):
        form = {**FORM, "label": "banana"}
        recipe = settings.recipe_of(form, Picture("cat"), None, LIMITS)
        assert recipe.end is None
        assert recipe.objective == {"objective": "label", "label": "banana", "index": 954}
        assert settings.form_of(recipe, LIMITS)[0]["label"] == "banana"

    @pytest.mark.parametrize("change, says", [
        ({"model": "/etc"}, "no model"), ({"model": "../models/squeezenet_v1.1"}, "no model"),
        ({"model": None}, "no model"), ({"max_size": 1601}, "Size"), ({"octave_n": 0}, "Octaves 0"),
        ({"iter_n": 51}, "Iterations 51: must be from 1 to 50"),
        ({"iter_n": 2.5}, "Iterations"), ({"iter_n": True}, "Iterations"), ({"iter_n": "3"}, "Iterations"),
        ({"jitter": None}, "Jitter"), ({"strength": float("nan")}, "Strength"), ({"seed": 2**32}, "Seed"),
        ({"seed": -1}, "Seed"), ({"seed": 1.0}, "Seed"), ({"end": ["a"]}, "no layer"), ({"end": None}, "no layer"),
        ({"label": "no such thing"}, "is no label"), ({"label": ["banana"]}, "is no label")])
    def test_what_the_page_would_not_send_is_refused(self, change, says):
        with pytest.raises(ParameterError, match=says):
            settings.recipe_of({**FORM, **change}, Picture("cat"), None, LIMITS)

    def test_a_recipe_out_of_the_limits_is_brought_within_them(self):
        recipe = Recipe(iter_n=10**400, octave_n=3, model="squeezenet_v1.1", max_size=9000, jitter=32)
        form, notes = settings.form_of(recipe, LIMITS)
        assert (form["iter_n"], form["octave_n"], form["max_size"]) == (50, 3, 1600)
        assert [note.split()[0] for note in notes] == ["It", "Size", "Iterations"]

    def test_what_cannot_be_set_is_said(self):
        form, notes = settings.form_of(Recipe(model="/home/me/model", end="x"), LIMITS)
        assert "model" not in form and "end" not in form
        assert notes == ["Its model '/home/me/model' is not here."]
        _, notes = settings.form_of(Recipe(objective={"objective": "channels", "indices": [1]}, clip=False, end="x",
                                           guide="flowers.jpg"), LIMITS)
        assert [note.split()[-1] for note in notes] == ["here.", "well.", "here."]


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
        np.testing.assert_array_equal(to_bytes(again), np.asarray(Image.open(io.BytesIO(data))))

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
        np.testing.assert_array_equal(to_bytes(made), pixels)

        assert page.dream(again=True)[0]["how"] == "done"
        name, data = page.download()
        recipe = Recipe.from_image(io.BytesIO(data))
        assert (name, recipe.input) == ("holiday-dream-2.png", "holiday-dream.png")
        made = recipe.render(image=dd.read_image(io.BytesIO(stopped)), net=squeezenet)
        np.testing.assert_array_equal(to_bytes(made), np.asarray(Image.open(io.BytesIO(data))))

    def test_a_guide_and_a_label(self, visitor, photo, squeezenet):
        page = visitor(Limits(guide_side=128))
        page.upload("holiday.png", photo)
        assert page.dream()[0]["how"] == "done"
        plain = np.asarray(Image.open(io.BytesIO(page.download()[1])))
        wide = pictures.clouds(300, 600, seed=9)
        assert page.upload("wide.png", png(wide), which="guide")["note"].startswith("scaled down to 128×64")
        assert page.dream()[0]["how"] == "done"
        data = page.download()[1]
        recipe, guided = Recipe.from_image(io.BytesIO(data)), np.asarray(Image.open(io.BytesIO(data)))
        assert (recipe.objective, recipe.guide) == ({"objective": "guided"}, "wide.png")
        assert (guided != plain).any()
        made = recipe.render(dd.read_image(io.BytesIO(photo)), np.float32(to_bytes(wide)), net=squeezenet)
        np.testing.assert_array_equal(to_bytes(made), guided)

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
        message = page.upload("large.png", png(np.zeros((400, 800, 3))))
        assert message["note"] == "scaled down to 300×150, the largest here"
        assert (message["width"], message["height"], message["size"]) == (300, 150, "800×400")

    def test_refused_uploads_leave_the_picture_as_it_was(self, visitor):
        page = visitor()
        for name, data in (("text.png", b"just text"), ("empty.png", b"")):
            assert page.upload(name, data)["event"] == "refused"
        # More bytes than were announced, and pieces of a file that never began.
        more = {"name": "a.png", "size": 10, "first": True, "until": ("refused",), "for": "picture"}
        assert "more bytes than were announced" in page.do("upload", b"x" * 11, **more)[0]["text"]
        assert not page.session._uploads
        page.ask("upload", b"x", name="b.png", size=10, first=False, **{"for": "guide"})
        assert page.session._picture.data is None
        assert page.dream()[0]["how"] == "done"

    @pytest.mark.parametrize("message", [
        {}, None, 7, {"do": "close"}, {"do": "_taken"}, {"do": ["open"]},
        {"do": "choose", "name": "/etc/passwd", "for": "picture"},
        {"do": "choose", "name": "cat", "for": "worker"}, {"do": "upload", "name": "a", "size": 1, "for": 3},
        {"do": "dream"}, {"do": "dream", "form": 3}, {"do": "dream", "form": {}}, {"do": "download"}])
    def test_any_message_is_answered(self, visitor, message):
        page = visitor()
        since = len(page.said)
        page.session.handle(message, [])
        assert page.wait("refused", since=since)

    def test_a_made_up_recipe_is_no_harm(self, visitor):
        from PIL.PngImagePlugin import PngInfo

        page = visitor()
        texts = ["[" * 50_000, '{"recipe": 1, "seed": "x"}', '{"recipe": 1, "input": "/etc/passwd", "model": "/etc"}',
                 '{"recipe": 1, "seed": 99999999999999999999, "iter_n": 1' + "0" * 400 + "}",
                 '{"recipe": 1, "end": {"a": "b"}}', '{"recipe": 1, "objective": {"objective": ["x"]}}']
        for text in texts:
            info = PngInfo()
            info.add_text("deepdream", text)
            message = page.upload("made-up.png", png(np.zeros((40, 40, 3)), pnginfo=info))
            assert message["event"] == "picture", message
            assert message.get("origin") in (None, "sky")  # what a recipe names when it names none, where there is one


def test_the_worker_says_what_it_could_not_do(monkeypatch):
    """A lack of memory and a mistake of ours end in a message, and in a fresh process."""
    class Pipe(list):
        def __init__(self, jobs):
            self.jobs = jobs

        def poll(self, timeout=0):
            return bool(self.jobs)

        def recv(self):
            return self.jobs.pop(0)

        send = list.append

    errors = [MemoryError(), RuntimeError("host allocation of size 8 failed"), ZeroDivisionError("by zero"),
              DreamError("no")]
    pipe = Pipe([Job(Recipe(model="m", seed=1), Picture("cat"))] * 4)
    monkeypatch.setattr("deepdream.models.load", lambda *_, **__: (_ for _ in ()).throw(errors.pop(0)))
    serve(pipe, 1)
    memory = "The memory ran out; choose a smaller size, or fewer pictures at once"
    assert list(pipe) == [Failed(memory, True), Failed(memory, True), Failed("ZeroDivisionError: by zero", True),
                          Failed("no")]


def test_every_layer_of_the_two_models_has_a_thumbnail():
    for name in ("bvlc_googlenet", "squeezenet_v1.1"):
        for rung in thumbnails.ladder(dd.models.find_model(name)):
            assert rung["thumb"].startswith("data:image/jpeg;base64,"), rung["layer"]
    files = list(thumbnails.FOLDER.rglob("*.jpg"))
    assert sum(path.stat().st_size for path in files) < 150_000
    for path in files:
        with Image.open(path) as picture:
            assert picture.size == (thumbnails.WIDTH, thumbnails.HEIGHT)


def test_the_widget_passes_messages_on(own_cache):
    pytest.importorskip("anywidget")
    from deepdream.playground import Playground

    widget = Playground(Limits(side=640))
    assert "render" in widget._esm and ".deepdream" in widget._css
    widget._handle_custom_msg({"do": "nothing"}, [])
    widget.close()
