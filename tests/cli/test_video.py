"""`deepdream video`: frames, times and sound kept, killed and gone on with, on a cluster, in little memory."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
from helpers import (
    TAKEN,
    assert_refused,
    command_environment,
    flashes_and_beeps,
    glue,
    probe,
    run_commands,
    view,
    write_clip,
    write_recording,
)

import deepdream as dd
from deepdream.recipes.frame_folder import FrameFolder

DREAM = ["--iters", "2", "--octaves", "1", "--seed", "3"]


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
    refused = [
        (["fifo.mp4", "out.mp4"], "fifo.mp4 is not a file but a device, a pipe"),
        (["/dev/zero", "out.mp4"], "/dev/zero is not a file but a device, a pipe"),
        (["loop", "out.mp4"], "loop cannot be reached, because its symbolic links go round in a loop"),
        (["in.mp4", "loop/out.mp4"], "the folder loop cannot be reached, because its symbolic links"),
        (["in.mp4", "out.mp4", "--independent", "--scheduler", "tcp://127.0.0.1:9"], "no Dask scheduler"),
        (["sound.m4a", "out.mp4"], "holds only sound"),
        (["empty.mp4", "out.mp4"], "is empty"),
        (["bad.mp4", "out.mp4"], "is not a video"),
        (["no.mp4", "out.mp4"], "no such file"),
        (["in.mp4", "out.avi"], "end the name in .mp4, .mov, .mkv, .webm or .gif"),
        (["in.mp4", "in.mp4"], "is the input video"),
        (["in.mp4", "no/out.mp4"], "create it first"),
        (["in.mp4", "out.mp4", "--carry", "2"], "--carry 2"),
    ]
    done = commands(tmp_path, tiny_model, *(arguments for arguments, _ in refused))
    for (_, says), each in zip(refused, done):
        assert_refused(each, says)
    assert sorted(tmp_path.iterdir()) == before


def test_one_frame(tmp_path, tiny_model, scene):
    write_clip(tmp_path / "in.mp4", [view(scene, 0)[0]])
    done = command(tmp_path, tiny_model, "in.mp4", "out.mp4")
    assert done.stderr.splitlines()[-1].endswith("seed 3: 1 frame"), done.stderr


def test_killed_and_started_again_the_film_is_the_same(tmp_path, tiny_model, scene):
    write_clip(tmp_path / "in.mp4", [view(scene, index)[0] for index in range(12)])
    assert command(tmp_path, tiny_model, "in.mp4", "whole.mp4").returncode == 0
    chance, work = random.Random(), tmp_path / "out.mp4.frames"
    for wanted in (2, 5, 8):
        process = subprocess.Popen(
            [sys.executable, "-m", "deepdream", "video", "in.mp4", "out.mp4", *DREAM, "--model", tiny_model],
            cwd=tmp_path,
            env=command_environment(),
        )
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
    assert_refused(
        command(tmp_path, tiny_model, "in.mp4", "out.mp4"),
        "out.mp4.frames holds an unfinished video with another video",
    )


PEAK = f"""
{TAKEN}
import json, sys
from deepdream.cli import main
try:
    main(json.load(sys.stdin))
except SystemExit as done:
    print(json.dumps([done.code, taken("VmHWM") // 1024]))
"""


def peak(folder, *arguments):
    """The largest memory that a command takes, in kB; with few threads and one heap, for less of it to be chance."""
    environment = {
        **command_environment(),
        "MALLOC_ARENA_MAX": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", PEAK],
        cwd=folder,
        input=json.dumps([str(each) for each in arguments]),
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    code, kilobytes = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    return kilobytes


@pytest.mark.skipif(
    int(av.__version__.split(".")[0]) < 16,
    reason="its FFmpeg takes 250 to 350 MB for one and the same video, by chance",
)
def test_memory_does_not_grow_with_the_length(tmp_path, tiny_model, scene):
    """300 frames against 30; kept in memory as float32, those that are more would take a fifth as much again."""
    options = [*DREAM, "--iters", "1", "--model", tiny_model]
    peaks = {}
    for count in (30, 300):
        images = (view(scene, 0, 96, 128)[0] + index % 7 for index in range(count))
        write_clip(tmp_path / f"{count}.mp4", images)
        peaks["video", count] = peak(tmp_path, "video", f"{count}.mp4", f"out{count}.gif", *options)
        # No GIF of a zoom: FFmpeg keeps each colour that it met, and in noise there is no end of new ones.
        peaks["zoom", count] = peak(
            tmp_path,
            "zoom",
            "noise:128x96",
            "-o",
            f"run{count}",
            "--frames",
            count,
            "--mp4",
            f"zoom{count}.mp4",
            *options,
        )
    print(peaks)
    for kind in ("video", "zoom"):
        assert peaks[kind, 300] < 1.1 * peaks[kind, 30], peaks


def test_frames_by_themselves_can_be_dreamt_on_a_cluster(tmp_path, tiny_model, scene):
    write_clip(tmp_path / "in.mp4", [view(scene, index)[0] for index in range(8)])
    options = ["--independent", "--strength", "0.8"]
    here, there = commands(
        tmp_path,
        tiny_model,
        ["in.mp4", "here.mp4", *options],
        ["in.mp4", "there.mp4", *options, "--workers", "2"],
    )
    assert (here.returncode, there.returncode) == (0, 0), (here.stderr, there.stderr)
    for one, other in zip(probe(tmp_path / "here.mp4")[1], probe(tmp_path / "there.mp4")[1]):
        np.testing.assert_array_equal(one, other)
    assert not (tmp_path / "there.mp4.frames").exists()


def test_glued_recordings_become_one_film(tmp_path, tiny_model):
    """`cat a.webm a.webm > d.webm`: all frames, each with its sound, twice as long."""
    glue(tmp_path / "d.webm", *[write_recording(tmp_path / "a.webm")] * 2)
    done = command(tmp_path, tiny_model, "d.webm", "out.mp4", "--independent", "--strength", "0")
    assert done.returncode == 0, done.stderr
    flashes, beeps, ends = flashes_and_beeps(tmp_path / "out.mp4")
    assert flashes == pytest.approx([0, 1, 2, 3], abs=0.05)
    assert beeps == pytest.approx([0, 1, 2, 3], abs=0.05)
    assert ends == pytest.approx([4, 4], abs=0.05)
    assert len(probe(tmp_path / "out.mp4")[1]) == 60


def test_a_film_that_cannot_be_written_is_refused_before_its_first_frame(tmp_path):
    """Before any network is looked for: there is none."""
    image = np.full((32, 48, 3), 90.0)
    write_clip(tmp_path / "gap.mkv", [image] * 3, times=[0, 40, 3_000_000_000], sound=None)
    write_clip(tmp_path / "wide.mkv", [np.full((16, 16400, 3), 90.0)], codec="ffv1", sound=None)
    glue(tmp_path / "three.webm", *[write_recording(tmp_path / "a.webm", seconds=0.2)] * 3)
    before = sorted(tmp_path.iterdir())
    refused = [
        (["gap.mkv", "out.mp4"], "out.mp4 cannot be written ("),
        (["wide.mkv", "out.mp4"], "an MP4 holds at most 16384 pixels per side, these frames are 16400×16"),
        (["three.webm", "out.mp4"], "three.webm continues with another recording at byte"),
        (["gap.mkv", "out.gif"], "nowhere"),
        (["wide.mkv", "out.mp4", "--max-size", "16384"], "nowhere"),
    ]
    done = run_commands(tmp_path, *(["video", *arguments, "--model", "nowhere"] for arguments, _ in refused))
    for (_, says), each in zip(refused, done):
        assert_refused(each, says)
    assert sorted(tmp_path.iterdir()) == before


def test_a_disk_that_fills_in_the_middle(tmp_path, tiny_model, scene, run, monkeypatch):
    """The run stops with one line; the frames that are there stay, and it goes on when there is room."""
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "in.mp4", [view(scene, index)[0] for index in range(4)])
    arguments = ["video", "in.mp4", "out.mp4", *DREAM, "--model", tiny_model]
    assert run(*arguments)[0] == 0
    whole = (tmp_path / "out.mp4").read_bytes()
    write, left = Path.write_bytes, [5]

    def write_until_full(path, data):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", write_until_full)
    code, _, said = run(*arguments)
    assert code == 2 and "cannot be written: No space left on device; free some space" in said and said.count("\n") == 1
    kept = (tmp_path / "out.mp4.frames" / "00001.png").stat().st_mtime_ns
    assert (tmp_path / "out.mp4").read_bytes() == whole  # the older film
    monkeypatch.setattr(Path, "write_bytes", write)
    monkeypatch.setattr(FrameFolder, "remove", lambda run: None)
    assert run(*arguments)[0] == 0
    assert (tmp_path / "out.mp4.frames" / "00001.png").stat().st_mtime_ns == kept
    assert (tmp_path / "out.mp4").read_bytes() == whole
