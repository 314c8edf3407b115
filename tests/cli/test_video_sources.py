"""`deepdream video` with other inputs and outputs than one video file: images, parts, guides, shots, tags."""

import signal
import subprocess
import sys
import time

import av
import numpy as np
import pytest
from helpers import assert_refused, camera_photo, command_environment, probe, run_commands, view, write_clip
from PIL import Image

import deepdream as dd

DREAM = ["--iters", "2", "--octaves", "1", "--seed", "3"]


def commands(folder, model, *each):
    return run_commands(folder, *(["video", *arguments, *DREAM, "--model", model] for arguments in each))


def two_shots(scene, count=4):
    return [view(scene, n)[0] for n in range(count)] + [255 - view(scene, 20 + n)[0][::-1] for n in range(count)]


def write_images(folder, images, name="{:05d}.png"):
    folder.mkdir()
    for index, image in enumerate(images):
        dd.write_image(folder / name.format(index), image)
    return folder


def test_images_in_and_out(tmp_path, tiny_model, scene):
    """A folder, numbered images and a film of the same frames give the same dreams."""
    images = [view(scene, n)[0] for n in range(4)]
    write_images(tmp_path / "in", images, "shot.{}.png")  # without leading zeros, from 0 to 3
    write_images(tmp_path / "numbered", images, "{:04d}.png")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    done = commands(
        tmp_path,
        tiny_model,
        ["in", "new/"],
        ["numbered/%04d.png", "out-%02d.png"],
        ["in", "out.mp4", "--fps", "10"],
        ["in", "in/"],
        ["in", "none/new/"],
        ["numbered/%05d.png", "other/"],
    )
    for each in done[:3]:
        assert each.returncode == 0, each.stderr
    assert done[0].stdout == f"{tmp_path / 'new'}\n"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [f"shot.{n}.png" for n in range(4)]
    expected = dd.video_frames(dd.load(tiny_model), [np.rint(image) for image in images], 0.7, **SETTINGS)
    for index, frame in enumerate(expected):
        there = dd.read_image(tmp_path / "new" / f"shot.{index}.png")
        np.testing.assert_array_equal(there, np.rint(frame.image))
        np.testing.assert_array_equal(dd.read_image(tmp_path / f"out-{index:02d}.png"), there)
    times, frames, _, _ = probe(tmp_path / "out.mp4")
    assert times == pytest.approx([0, 0.1, 0.2, 0.3])
    assert np.abs(frames[3] - there).mean() < 8
    assert_refused(done[3], "OUT in is the folder of the input")
    assert_refused(done[4], "the folder none does not exist")
    assert_refused(done[5], "numbered/%05d.png: there is no such image")
    assert not list(tmp_path.glob("*.frames"))


SETTINGS = {"iter_n": 2, "octave_n": 1, "seed": 3}


def test_images_that_do_not_fit(tmp_path, tiny_model, scene):
    image = view(scene, 0)[0]
    write_images(tmp_path / "gap", [image] * 3)
    (tmp_path / "gap" / "00001.png").unlink()
    write_images(tmp_path / "sizes", [image, image[:40]])
    write_images(tmp_path / "empty", [])
    write_images(tmp_path / "bad", [image] * 2)
    (tmp_path / "bad" / "00001.png").write_bytes(b"no image")
    refused = [
        (["gap/%05d.png", "out.mp4"], "gap/00001.png is missing"),
        (["sizes", "out.mp4"], "sizes/00001.png is 96×40, the first frame 96×64"),
        (["empty", "out.mp4"], "empty holds no images"),
        (["bad", "out.mp4"], "00001.png"),
        (["gap/%05d.png", "out.mp4", "--fps", "0"], "--fps 0"),
    ]
    before = sorted(tmp_path.rglob("*"))
    for (_, says), each in zip(refused, commands(tmp_path, tiny_model, *(arguments for arguments, _ in refused))):
        assert_refused(each, says)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_animated_webp(tmp_path, tiny_model, scene):
    images = [Image.fromarray(np.uint8(view(scene, n)[0])) for n in range(3)]
    images[0].save(
        tmp_path / "in.webp", save_all=True, append_images=images[1:], duration=[100, 250, 40], lossless=True
    )
    write_images(tmp_path / "in", [np.float32(image) for image in images])
    done = commands(
        tmp_path,
        tiny_model,
        ["in.webp", "out.mp4"],
        ["in.webp", "webp/"],
        ["in", "png/"],
        ["in.webp", "part/", "--start", "0.1"],
    )
    for each in done:
        assert each.returncode == 0, each.stderr
    times, _, tracks, _ = probe(tmp_path / "out.mp4")
    assert times == pytest.approx([0, 0.1, 0.35])
    assert tracks[0][1] == pytest.approx(0.39, abs=0.002)
    for index in range(3):
        one, other = (dd.read_image(tmp_path / folder / f"{index:05d}.png") for folder in ("webp", "png"))
        np.testing.assert_array_equal(one, other)
    assert len(list((tmp_path / "part").iterdir())) == 2


def test_parts(tmp_path, tiny_model, scene):
    write_clip(tmp_path / "in.mp4", [view(scene, n)[0] for n in range(30)], rate=10)
    asked = [
        (["--start", "1", "--stop", "1.5"], 10, 15),
        (["--start", "12f", "--stop", "0:01.5"], 12, 15),
        (["--start", "0:00:02.75"], 28, 30),
        (["--stop", "3f"], 0, 3),
        (["--start", "2.95", "--stop", "99"], None, None),
        (["--start", "5f", "--stop", "5f"], None, None),
    ]
    done = commands(
        tmp_path,
        tiny_model,
        *(["in.mp4", f"{n}/", "--independent", *options] for n, (options, _, _) in enumerate(asked)),
        ["in.mp4", "a.mp4", "--start", "later"],
        ["in.mp4", "all/", "--independent"],
        ["in.mp4", "a.mp4", "--start", "1", "--stop", "2"],
    )
    for number, (_, first, stop) in enumerate(asked):
        if first is None:
            assert_refused(done[number], "no frame between --start and --stop; it has 30 frames, 3.00 seconds")
            continue
        assert done[number].returncode == 0, done[number].stderr
        files = sorted((tmp_path / str(number)).iterdir())
        assert len(files) == stop - first
        for file, index in zip(files, range(first, stop)):
            np.testing.assert_array_equal(dd.read_image(file), dd.read_image(tmp_path / "all" / f"{index:05d}.png"))
    assert_refused(done[-3], "--start later: must be a time (12.5 or 1:30) or the number of a frame")
    assert "0/ will lack the sound" in done[0].stderr
    times, _, tracks, _ = probe(tmp_path / "a.mp4")
    assert times == pytest.approx([n / 10 for n in range(10)])
    assert [seconds for _, seconds in tracks] == pytest.approx([1, 1], abs=0.03)


def test_a_video_guides_a_video(tmp_path, tiny_model, scene):
    images = [view(scene, n)[0] for n in range(4)]
    guides = [np.rint(scene[0][100:164, 40 * n : 40 * n + 96]) for n in range(3)]
    write_images(tmp_path / "in", images)
    write_clip(tmp_path / "guide.mkv", guides, 10, None, codec="ffv1", pix_fmt="bgr0")
    Image.fromarray(np.uint8(guides[0])).save(tmp_path / "guide.png")
    done = commands(
        tmp_path,
        tiny_model,
        ["in", "out/", "--guide", "guide.mkv"],
        ["in", "two/", "--guide", "guide.mkv", "--workers", "2"],
        ["in", "alone/", "--guide", "guide.mkv", "--independent", "--workers", "2"],
        ["in", "still/", "--guide", "guide.png"],
    )
    for each in done:
        assert each.returncode == 0, each.stderr
    assert "guided by guide.mkv" in done[0].stderr
    net, read = dd.load(tiny_model), list(dd.Video(tmp_path / "guide.mkv"))
    for carry, folders in ((0.7, ("out", "two")), (0, ("alone",))):
        frames = dd.video_frames(net, map(np.rint, images), carry, guides=read, **SETTINGS)
        for index, frame in enumerate(frames):
            for folder in folders:
                there = dd.read_image(tmp_path / folder / f"{index:05d}.png")
                np.testing.assert_array_equal(there, np.rint(frame.image), err_msg=folder)
    still = dd.read_image(tmp_path / "still" / "00002.png")
    assert np.abs(still - dd.read_image(tmp_path / "out" / "00002.png")).mean() > 0.5


def test_shots_on_workers_are_those_of_one_process(tmp_path, tiny_model, scene):
    write_clip(tmp_path / "in.mkv", two_shots(scene) + two_shots(scene, 2), codec="ffv1", pix_fmt="bgr0")
    one, two = commands(tmp_path, tiny_model, ["in.mkv", "one.mp4"], ["in.mkv", "two.mp4", "--workers", "2"])
    assert (one.returncode, two.returncode) == (0, 0), (one.stderr, two.stderr)
    assert "in.mkv has 4 shots" in two.stderr.splitlines()
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
    assert not list(tmp_path.glob("*.frames"))


@pytest.mark.parametrize("begun, continued", [(["--workers", "2"], []), ([], ["--workers", "2"])])
def test_killed_with_workers_and_continued_without_and_the_reverse(tmp_path, tiny_model, scene, begun, continued):
    write_clip(tmp_path / "in.mkv", two_shots(scene, 6) + two_shots(scene, 3), codec="ffv1", pix_fmt="bgr0")
    assert commands(tmp_path, tiny_model, ["in.mkv", "whole.mp4"])[0].returncode == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "deepdream", "video", "in.mkv", "out.mp4", *DREAM, "--model", tiny_model, *begun],
        cwd=tmp_path,
        env=command_environment(),
        stderr=subprocess.DEVNULL,
    )
    work, until = tmp_path / "out.mp4.frames", time.monotonic() + 60
    while len(list(work.glob("0*.png"))) < 5 and time.monotonic() < until:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path.name: path.stat().st_mtime_ns for path in work.glob("0*.png")}
    assert len(kept) >= 5
    done = commands(tmp_path, tiny_model, ["in.mkv", "out.mp4", *continued])[0]
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_tags_and_what_is_left_out(tmp_path, tiny_model, scene):
    image = view(scene, 0)[0]
    write_clip(tmp_path / "plain.mp4", [image] * 2, sound="aac")
    with av.open(str(tmp_path / "plain.mp4")) as given, av.open(str(tmp_path / "in.mov"), "w") as container:
        container.metadata.update({"title": "A walk", "location": "+48.1371+011.5754/"})
        streams = [container.add_stream_from_template(stream) for stream in given.streams]
        for packet in given.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                container.mux(packet)
    done = commands(
        tmp_path,
        tiny_model,
        ["in.mov", "out.mp4"],
        ["in.mov", "kept.mp4", "--keep-location"],
        ["in.mov", "out.gif"],
    )
    assert [each.returncode for each in done] == [0, 0, 0]
    assert done[0].stderr.splitlines()[0] == "out.mp4 will lack the location (--keep-location keeps it)"
    assert "will lack" not in done[1].stderr
    assert done[2].stderr.splitlines()[0] == "out.gif will lack the sound, the title and other tags"
    for name, place in (("out.mp4", None), ("kept.mp4", "+48.1371+011.5754/")):
        with av.open(str(tmp_path / name)) as container:
            assert container.metadata["title"] == "A walk"
            assert container.metadata.get("location") == place


def test_what_the_images_say_and_their_transparency_are_left_out_with_a_word(tmp_path, tiny_model):
    for folder in ("photos", "clear"):
        (tmp_path / folder).mkdir()
    for number in range(2):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(camera_photo())
        Image.new("RGBA", (64, 48), (9, 9, 9, 99)).save(tmp_path / "clear" / f"{number}.png")
    done = commands(
        tmp_path,
        tiny_model,
        *([f"photos/%d.{suffix}", out] for suffix, out in (("jpg", "a.mp4"), ("jpg", "a.gif"), ("jpg", "a/"))),
        ["clear", "b/"],
    )
    metadata, transparency = (
        "the metadata of the image (date, camera, author and so on)",
        "the transparency: it lies on white",
    )
    for each, out, lacks in zip(done, ("a.mp4", "a.gif", "a/", "b/"), (metadata, metadata, metadata, transparency)):
        assert each.returncode == 0, each.stderr
        lines = [line for line in each.stderr.splitlines() if "lack" in line]
        assert lines == [f"{out} will lack {lacks}"]
