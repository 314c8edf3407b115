"""Videos: read as a player shows them, followed by optical flow, dreamt without flicker, written with their sound."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from conftest import assert_refused, command_environment, run_commands

import deepdream as dd
from deepdream.flow import motion, warp
from deepdream.footage import Video
from deepdream.pictures import clouds

SMALL = {"iter_n": 2, "octave_n": 1, "jitter": 4, "seed": 3}
DREAM = ["--iters", "2", "--octaves", "1", "--seed", "3"]


@pytest.fixture(scope="module")
def scene():
    """A picture to look around in, and one that moves before it: float32."""
    return clouds(240, 320), dd.image.resize(dd.picture("cat"), 40, 48).clip(0, 255)


def view(scene, index, height=64, width=96):
    """A camera that pans by 2 pixels a frame over clouds, before which a cat moves to the right by 3.

    Returns the frame, the true flow to the frame before, and where that is to be seen in both: (H, W, 3), (H, W, 2),
    (H, W) bool.
    """
    sky, cat = scene
    image = sky[20:20 + height, 2 * index:2 * index + width].copy()
    flow = np.zeros((height, width, 2), np.float32)
    flow[:, :, 0] = 2
    left, top = 6 + 3 * index, height // 2 - 20
    box = slice(top, top + 40), slice(left, left + 48)
    image[box] = cat[:, :width - left]
    flow[box][..., 0] = -3
    seen = np.ones((height, width), bool)
    seen[:, -2:] = seen[top:top + 40, left - 5:left] = False
    return image, flow, seen


def write_clip(path, images, rate=15, sound="aac", times=None, codec="libx264", **stream_settings):
    """A video file of these images, with a tone if `sound` names a codec, made with PyAV alone."""
    time_base = Fraction(1, 1000) if times else Fraction(1, rate)
    images = list(images)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = stream_settings.pop("pix_fmt", "yuv420p")
        stream.codec_context.time_base = time_base
        for name, value in stream_settings.items():
            getattr(stream, name)(*value) if callable(getattr(stream, name)) else setattr(stream, name, value)
        tone = container.add_stream(sound, rate=44100) if sound else None
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rint(image).astype(np.uint8)), format="rgb24")
            frame.pts, frame.time_base = times[index] if times else index, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone:
            wave = np.sin(np.arange(44100 * len(images) // rate) * 2 * np.pi * 440 / 44100) * 0.3
            samples = av.AudioFrame.from_ndarray(np.float32([wave, wave]), format="fltp", layout="stereo")
            samples.sample_rate, samples.pts = 44100, 0
            container.mux(tone.encode(samples))
            container.mux(tone.encode(None))
    return path


def probe(path):
    """What is in a file: its frames' times and pixels, of each track the codec and the seconds, the sound's packets."""
    with av.open(str(path)) as container:
        tracks = [(stream.codec_context.name, float((stream.duration or 0) * stream.time_base))
                  for stream in container.streams]
        frames = list(container.decode(video=0))
    with av.open(str(path)) as container:
        sound = [bytes(packet) for packet in container.demux(audio=0) if packet.size] if len(tracks) > 1 else []
    return [frame.time for frame in frames], [frame.to_ndarray(format="rgb24") for frame in frames], tracks, sound


# Reading

def test_frames_are_read_as_they_are(tmp_path, scene):
    images = [view(scene, index)[0] for index in range(5)]
    video = Video(write_clip(tmp_path / "clip.mp4", images))
    assert (len(video), video.width, video.height, video.rate, video.aspect) == (5, 96, 64, 15, 1)
    assert [float(ticks * video.time_base) for ticks in video.times] == pytest.approx([n / 15 for n in range(6)])
    for _ in range(2):  # as often as asked
        read = list(video)
        assert len(read) == 5
        for image, there in zip(images, read):
            assert there.dtype == np.float32
            assert np.abs(image - there).mean() < 5


def test_a_video_comes_as_it_is_shown(tmp_path):
    """A camera held upright stores its frames lying down, and says how to turn them."""
    if not hasattr(av.VideoStream, "set_display_matrix"):
        pytest.skip("this PyAV cannot write how a video is to be turned")
    image = np.zeros((48, 64, 3), np.float32)
    image[:20, :20] = (250, 20, 20)  # top left
    for matrix, corner, size in [
            ((1, 0, 0, 1), "top left", (64, 48)), ((0, 1, -1, 0), "top right", (48, 64)),  # a quarter clockwise
            ((-1, 0, 0, -1), "bottom right", (64, 48)), ((0, -1, 1, 0), "bottom left", (48, 64)),
            ((-1, 0, 0, 1), "top right", (64, 48)), ((0, 1, 1, 0), "top left", (48, 64))]:  # mirrored
        a, b, c, d = (65536 * n for n in matrix)
        path = write_clip(tmp_path / "clip.mp4", [image] * 2, set_display_matrix=[[a, b, 0, c, d, 0, 0, 0, 1 << 30]],
                          sample_aspect_ratio=Fraction(2))
        video = Video(path)
        first = next(iter(video))
        assert (video.width, video.height) == size
        assert first.shape == (size[1], size[0], 3)
        assert video.aspect == (2 if size[0] == 64 else Fraction(1, 2))
        reds = first[:, :, 0] - first[:, :, 1]
        corners = {"top left": reds[:16, :16], "top right": reds[:16, -16:], "bottom left": reds[-16:, :16],
                   "bottom right": reds[-16:, -16:]}
        assert corners[corner].mean() > 150, corner
        assert all(part.mean() < 20 for name, part in corners.items() if name != corner), corner


def test_colours_come_as_the_file_declares_them(tmp_path):
    image = np.full((32, 32, 3), (200, 40, 30), np.float32)
    dd.write_animation(tmp_path / "hd.mp4", [image] * 2)  # declares HDTV's
    write_clip(tmp_path / "plain.mp4", [image] * 2)  # declares nothing: television's, as it is small
    for name in ("hd.mp4", "plain.mp4"):
        np.testing.assert_allclose(next(iter(Video(tmp_path / name)))[16, 16], (200, 40, 30), atol=5)


@pytest.mark.parametrize(("name", "damage", "says"), [
    ("empty", lambda data: b"", "is empty"),
    ("garbage", lambda data: os.urandom(4000), "is not a video that can be read"),
    ("no index", lambda data: data[:len(data) // 2], "is damaged"),
    ("text", lambda data: b"this is not a video\n" * 50, "is not a video"),
])
def test_damaged_files_are_refused(tmp_path, scene, name, damage, says):
    data = write_clip(tmp_path / "clip.mp4", [view(scene, index)[0] for index in range(4)]).read_bytes()
    (tmp_path / "bad.mp4").write_bytes(damage(data))
    with pytest.raises(dd.VideoError, match=says) as error:
        Video(tmp_path / "bad.mp4")
    assert "\n" not in str(error.value)


def test_a_title_that_is_no_text_spoils_nothing(tmp_path, scene):
    data = write_clip(tmp_path / "clip.mp4", [view(scene, index)[0] for index in range(4)]).read_bytes()
    assert b"VideoHandler" in data
    (tmp_path / "odd.mp4").write_bytes(data.replace(b"VideoHandler", b"Video\xbf\xff\xfeler!"))
    assert len(Video(tmp_path / "odd.mp4")) == 4


def test_files_that_end_too_early_or_break_in_the_middle_are_refused(tmp_path):
    rng = np.random.RandomState(0)
    dd.write_animation(tmp_path / "film.mp4", [rng.uniform(0, 255, (64, 96, 3)) for _ in range(30)])  # index first
    data = (tmp_path / "film.mp4").read_bytes()
    middle = len(data) // 2
    (tmp_path / "bad.mp4").write_bytes(data[:middle])
    with pytest.raises(dd.VideoError, match=r"is cut short|is damaged behind frame"):
        Video(tmp_path / "bad.mp4")
    (tmp_path / "bad.mp4").write_bytes(data[:middle] + rng.bytes(2000) + data[middle + 2000:])
    with pytest.raises(dd.VideoError, match="is damaged behind frame"):
        Video(tmp_path / "bad.mp4")


def test_a_matroska_file_that_ends_too_early_is_refused(tmp_path, scene):
    """Its tracks do not tell how long they are; the file does, whichever track is the longest."""
    whole = write_clip(tmp_path / "clip.mkv", [view(scene, index)[0] for index in range(30)]).read_bytes()
    assert len(Video(tmp_path / "clip.mkv")) == 30
    (tmp_path / "cut.mkv").write_bytes(whole[:len(whole) // 3])
    with pytest.raises(dd.VideoError, match=r"is cut short: 0\.\d of 2\.0 seconds"):
        Video(tmp_path / "cut.mkv")


# Following what moves

def test_flow_of_a_known_motion(scene):
    (before, _, _), (now, truth, seen) = (view(scene, index, 96, 144) for index in (3, 4))
    flow, trust = motion(before, now)
    assert flow.shape == (96, 144, 2)
    assert np.abs(flow - truth)[seen].mean() < 0.25  # pixels
    assert trust.min() >= 0
    assert trust.max() <= 1
    assert trust[seen].mean() > 0.85
    assert trust[~seen].mean() < 0.5  # came into view
    assert np.abs(warp(before, flow) - now)[seen].mean() < np.abs(before - now)[seen].mean() / 3


def test_nothing_is_trusted_over_a_cut(scene):
    now = view(scene, 4)[0]
    _, trust = motion(dd.image.resize(dd.picture("coffee"), *now.shape[:2]), now)
    assert trust.mean() < 0.2


def test_flow_does_not_depend_on_the_number_of_threads(scene):
    before, now = (dd.image.resize(view(scene, index)[0], 480, 640) for index in (3, 4))
    threads = cv2.getNumThreads()
    try:
        flows = []
        for number in (1, 4):
            cv2.setNumThreads(number)
            flows.append(motion(before, now))
            assert cv2.getNumThreads() == number
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(flows[0][0], flows[1][0])
    np.testing.assert_array_equal(flows[0][1], flows[1][1])


# Dreaming

def test_frames_by_themselves_are_single_dreams(tiny, scene):
    images = [view(scene, index)[0] for index in range(3)]
    frames = list(dd.video_frames(tiny, images, carry=0, **SMALL))
    assert [frame.index for frame in frames] == [0, 1, 2]
    for image, frame in zip(images, frames):
        np.testing.assert_array_equal(frame.image, dd.deepdream(tiny, image, **SMALL))


def test_going_on_behind_a_frame_gives_the_same_frames(tiny, scene):
    images = [view(scene, index)[0] for index in range(5)]
    for strength in (1, 0.5):
        whole = list(dd.video_frames(tiny, iter(images), strength=strength, **SMALL))
        rest = list(dd.video_frames(tiny, images, strength=strength, after=whole[2], **SMALL))
        assert [frame.index for frame in rest] == [3, 4]
        for one, other in zip(whole[3:], rest):
            np.testing.assert_array_equal(one.image, other.image)


def test_strength_blends_with_the_frames(tiny, scene):
    images = [view(scene, index)[0] for index in range(3)]
    none = list(dd.video_frames(tiny, images, strength=0, **SMALL))
    for image, frame in zip(images, none):
        np.testing.assert_array_equal(frame.image, image.clip(0, 255))


def test_a_still_keeps_its_dream(tiny, scene):
    """What does not move is carried along whole: with carry=1 the dream of the first frame stays."""
    image = view(scene, 3)[0]
    first, second = dd.video_frames(tiny, [image, image], carry=1, clip=False, **SMALL)
    added, kept = first.image - image, second.image - image
    assert np.corrcoef(added.ravel(), kept.ravel())[0, 1] > 0.95


def test_wrong_arguments_are_refused_before_the_first_dream(tiny, scene):
    images = [view(scene, index)[0] for index in range(2)]
    for settings, says in [({"carry": 1.5}, "carry=1.5"), ({"strength": -1}, "strength=-1"),
                           ({"iter_n": 0}, "iter_n=0")]:
        with pytest.raises(dd.ParameterError, match=says):
            dd.video_frames(tiny, images, **{**SMALL, **settings})
    with pytest.raises(dd.VideoError, match=r"frame 1 is 96×60"):
        list(dd.video_frames(tiny, [images[0], images[1][:60]], **SMALL))
    assert list(dd.video_frames(tiny, [], **SMALL)) == []


def change(scene, frames):
    """The mean frame-to-frame difference of the dream detail, motion compensated by the true motion; and its size."""
    apart, size = [], []
    for index in range(1, len(frames)):
        (before, _, _), (now, flow, seen) = view(scene, index - 1, 96, 144), view(scene, index, 96, 144)
        detail = frames[index].image - now
        apart.append(np.abs(detail - warp(frames[index - 1].image - before, flow))[seen].mean())
        size.append(np.abs(detail).mean())
    return float(np.mean(apart)), float(np.mean(size))


def test_the_dream_moves_along_and_does_not_flicker(squeezenet, scene):
    images = [view(scene, index, 96, 144)[0] for index in range(5)]
    settings = {"iter_n": 6, "octave_n": 2, "seed": 1}
    alone, alone_size = change(scene, list(dd.video_frames(squeezenet, images, carry=0, **settings)))
    carried, carried_size = change(scene, list(dd.video_frames(squeezenet, images, **settings)))
    print(f"difference {carried:.2f}, independent {alone:.2f}; size {carried_size:.2f}, independent {alone_size:.2f}")
    assert carried < alone / 2
    assert carried_size > 0.8 * alone_size  # it is no fainter for that


# The command

def commands(folder, model, *each):
    return run_commands(folder, *(["video", *arguments, *DREAM, "--model", model] for arguments in each))


def command(folder, model, *arguments):
    return commands(folder, model, arguments)[0]


def test_a_clip_of_three_seconds(tmp_path, tiny_model, scene):
    images = [view(scene, index)[0] for index in range(30)]
    write_clip(tmp_path / "in.mp4", images, rate=10)
    done = command(tmp_path, tiny_model, "in.mp4", "out.mp4")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'out.mp4'}\n"
    times, before, tracks, sound = probe(tmp_path / "in.mp4")
    new_times, after, new_tracks, new_sound = probe(tmp_path / "out.mp4")
    assert len(after) == 30
    assert new_times == pytest.approx(times)
    assert new_tracks == [(codec, pytest.approx(seconds, abs=0.002)) for codec, seconds in tracks]
    assert tracks == [("h264", 3.0), ("aac", 3.0)]
    assert len(sound) > 100
    assert new_sound == sound  # bit for bit
    assert after[0].shape == before[0].shape
    assert all(np.abs(one.astype(float) - other).mean() > 1 for one, other in zip(before, after))  # dreamt, every one
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4", "tiny-model", "tiny.prototxt"]


CONTAINERS = {
    "in.avi": ({"codec": "mpeg4", "sound": "pcm_s16le"}, ["h264", "aac"]),  # an MP4 cannot hold it: encoded anew
    "in.mkv": ({"sound": "flac"}, ["h264", "flac"]),
    "in.ts": ({}, ["h264", "aac"]),  # begins later than at zero
    "in.mov": ({"sound": None}, ["h264"]),
}


def test_other_containers(tmp_path, tiny_model, scene):
    for name, (settings, _) in CONTAINERS.items():
        write_clip(tmp_path / name, [view(scene, index)[0] for index in range(15)], **settings)
    done = commands(tmp_path, tiny_model, *([name, f"{name}.mp4", "--independent"] for name in CONTAINERS))
    for (name, (_, tracks)), each in zip(CONTAINERS.items(), done):
        assert each.returncode == 0, each.stderr
        times, frames, there, _ = probe(tmp_path / f"{name}.mp4")
        assert len(frames) == 15
        assert times[-1] - times[0] == pytest.approx(14 / 15, abs=0.002)
        assert [codec for codec, _ in there] == tracks
        assert [seconds for _, seconds in there] == pytest.approx([1] * len(tracks), abs=0.06)


def test_odd_sizes_and_uneven_times(tmp_path, tiny_model, scene):
    images = [view(scene, index, 63, 95)[0] for index in range(5)]
    write_clip(tmp_path / "in.mkv", images, times=[0, 100, 140, 400, 900], pix_fmt="yuv444p")
    for done in commands(tmp_path, tiny_model, ["in.mkv", "out.mp4", "--independent"], ["in.mkv", "out.gif"]):
        assert done.returncode == 0, done.stderr
    with av.open(str(tmp_path / "in.mkv")) as container:  # an older FFmpeg has the sound begin before the picture
        late = -container.start_time / av.time_base
    for name, size, precision, begin in [("out.mp4", (64, 96, 3), 0.002, late), ("out.gif", (63, 95, 3), 0.011, 0)]:
        times, frames, _, _ = probe(tmp_path / name)  # the MP4 is padded
        assert times == pytest.approx([begin + time for time in (0, 0.1, 0.14, 0.4, 0.9)], abs=precision)
        assert frames[0].shape == size


def test_what_cannot_be_is_refused(tmp_path, tiny_model, scene):
    write_clip(tmp_path / "in.mp4", [view(scene, index)[0] for index in range(2)])
    with av.open(str(tmp_path / "sound.m4a"), "w", format="mp4") as container:
        tone = container.add_stream("aac", rate=44100)
        cover = container.add_stream("mjpeg", rate=1)  # a picture, but no film
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic.value
        container.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        container.mux(cover.encode(None))
        samples = av.AudioFrame.from_ndarray(np.zeros((2, 4096), np.float32), format="fltp", layout="stereo")
        samples.sample_rate = 44100
        container.mux(tone.encode(samples))
        container.mux(tone.encode(None))
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "bad.mp4").write_bytes(os.urandom(3000))
    os.mkfifo(tmp_path / "fifo.mp4")
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(tmp_path.iterdir())
    refused = [(["fifo.mp4", "out.mp4"], "fifo.mp4 is no file but a device, a pipe"),
               (["/dev/zero", "out.mp4"], "/dev/zero is no file but a device, a pipe"),
               (["loop", "out.mp4"], "loop cannot be reached, because its symbolic links go round in a loop"),
               (["in.mp4", "loop/out.mp4"], "the folder loop cannot be reached, because its symbolic links"),
               (["in.mp4", "out.mp4", "--independent", "--scheduler", "tcp://127.0.0.1:9"], "no Dask scheduler"),
               (["sound.m4a", "out.mp4"], "holds only sound"), (["empty.mp4", "out.mp4"], "is empty"),
               (["bad.mp4", "out.mp4"], "is not a video"), (["no.mp4", "out.mp4"], "no such file"),
               (["in.mp4", "out.avi"], "end the name in .mp4 or .gif"),
               (["in.mp4", "in.mp4"], "is the video that is read"), (["in.mp4", "no/out.mp4"], "create it first"),
               (["in.mp4", "out.mp4", "--carry", "2"], "--carry 2")]
    done = commands(tmp_path, tiny_model, *(arguments for arguments, _ in refused))
    for (_, says), each in zip(refused, done):
        assert_refused(each, says)
    assert sorted(tmp_path.iterdir()) == before


def test_few_file_handles_are_not_the_video_s_fault(tmp_path, scene):
    write_clip(tmp_path / "in.mp4", [view(scene, 0)[0]])
    Video(tmp_path / "in.mp4")  # what is imported, is
    limits, taken = resource.getrlimit(resource.RLIMIT_NOFILE), []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, limits[1]), limits[1]))
    try:
        with pytest.raises(OSError, match="Too many"):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        with pytest.raises(dd.DreamError) as refusal:
            Video(tmp_path / "in.mp4")
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert "in.mp4 cannot be opened: Too many open files; close other programs" in str(refusal.value)
    assert "convert" not in str(refusal.value)


def test_one_frame(tmp_path, tiny_model, scene):
    write_clip(tmp_path / "in.mp4", [view(scene, 0)[0]])
    done = command(tmp_path, tiny_model, "in.mp4", "out.mp4")
    assert done.stderr.splitlines()[-1].endswith("seed 3: 1 frame"), done.stderr


def test_killed_and_started_again_the_film_is_the_same(tmp_path, tiny_model, scene):
    write_clip(tmp_path / "in.mp4", [view(scene, index)[0] for index in range(12)])
    assert command(tmp_path, tiny_model, "in.mp4", "whole.mp4").returncode == 0
    chance, work = random.Random(), tmp_path / "out.mp4.frames"
    for wanted in (2, 5, 8):
        process = subprocess.Popen([sys.executable, "-m", "deepdream", "video", "in.mp4", "out.mp4", *DREAM, "--model",
                                    tiny_model], cwd=tmp_path, env=command_environment())
        until = time.monotonic() + 60
        while not (work / f"{wanted:05d}.png").exists() and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    kept = {path.name: path.stat().st_mtime_ns for path in work.glob("0000?.png")}
    assert {"00000.png", "00008.png"} <= set(kept)
    assert command(tmp_path, tiny_model, "in.mp4", "out.mp4").returncode == 0
    assert not work.exists()
    whole, stopped = probe(tmp_path / "whole.mp4"), probe(tmp_path / "out.mp4")
    assert len(stopped[1]) == 12
    for one, other in zip(whole[1], stopped[1]):
        np.testing.assert_array_equal(one, other)


def test_another_video_does_not_go_on_in_the_frames_of_this_one(tmp_path, tiny_model, scene):
    write_clip(tmp_path / "in.mp4", [view(scene, index)[0] for index in range(2)])
    (tmp_path / "out.mp4.frames").mkdir()
    (tmp_path / "out.mp4.frames" / "video.json").write_text(dd.Recipe(kind="video", seed=3).to_json())
    assert_refused(command(tmp_path, tiny_model, "in.mp4", "out.mp4"),
                   "out.mp4.frames holds a video that was begun, with another video")


# Memory

PEAK = """
import json, re, sys
from deepdream.cli import main
try:
    main(json.load(sys.stdin))
except SystemExit as done:
    print(json.dumps([done.code, int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])]))
"""


def peak(folder, *arguments):
    """The largest memory that a command takes, in kB; with few threads and one heap, for less of it to be chance."""
    environment = {**command_environment(), "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1",
                   "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", PEAK], cwd=folder, input=json.dumps([str(each) for each in arguments]),
                          env=environment, capture_output=True, text=True, timeout=120)
    code, kilobytes = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    return kilobytes


@pytest.mark.skipif(int(av.__version__.split(".")[0]) < 16,
                    reason="its FFmpeg takes 250 to 350 MB for one and the same video, by chance")
def test_memory_does_not_grow_with_the_length(tmp_path, tiny_model, scene):
    """300 frames against 30; kept in memory as float32, those that are more would take a fifth as much again."""
    options = [*DREAM, "--iters", "1", "--model", tiny_model]
    peaks = {}
    for count in (30, 300):
        images = (view(scene, 0, 96, 128)[0] + index % 7 for index in range(count))
        write_clip(tmp_path / f"{count}.mp4", images)
        peaks["video", count] = peak(tmp_path, "video", f"{count}.mp4", f"out{count}.gif", *options)
        # No GIF of a zoom: FFmpeg keeps each colour that it met, and in noise there is no end of new ones.
        peaks["zoom", count] = peak(tmp_path, "zoom", "noise:128x96", "-o", f"run{count}", "--frames", count, "--mp4",
                                    f"zoom{count}.mp4", *options)
    print(peaks)
    for kind in ("video", "zoom"):
        assert peaks[kind, 300] < 1.1 * peaks[kind, 30], peaks


# On a cluster

def test_frames_by_themselves_can_be_dreamt_on_a_cluster(tmp_path, tiny_model, scene):
    write_clip(tmp_path / "in.mp4", [view(scene, index)[0] for index in range(8)])
    options = ["--independent", "--strength", "0.8"]
    here, there, carried = commands(tmp_path, tiny_model, ["in.mp4", "here.mp4", *options],
                                    ["in.mp4", "there.mp4", *options, "--workers", "2"],
                                    ["in.mp4", "out.mp4", "--workers", "2"])
    assert (here.returncode, there.returncode) == (0, 0), (here.stderr, there.stderr)
    assert_refused(carried, "add --independent")
    for one, other in zip(probe(tmp_path / "here.mp4")[1], probe(tmp_path / "there.mp4")[1]):
        np.testing.assert_array_equal(one, other)
    assert not (tmp_path / "there.mp4.frames").exists()
