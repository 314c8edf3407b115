"""Dreams the shots of a video by themselves, in this process or on many, and resumes each of them.

A carried dream begins anew at a cut, so the result is that of one run through all frames. The central type is
`ShotRun`. The numbers of the frames at which shots begin are in the file `shots.json` of the frame folder; a shot's own
state, `shot-00120.npz` for the one that begins at frame 120, is like that of a whole run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Union

from .._types import Image
from ..errors import DreamError, VideoError
from ..frame import Frame
from ..io.files import check_regular_file
from ..network.net import Net
from ..video import dream_frame, video_frames
from .cluster import TASKS_PER_WORKER, connected_client, net_lock, worker_count
from .frame_folder import FrameFolder
from .frame_state import packed_state, read_state
from .inputs import FittedMask
from .recipe import Recipe
from .render import cached_net

Reader = Callable[[int], Iterator[Image]]  # the frames from a number on
_Guide = Union[Image, list[Image], None]


@dataclass
class _Shot:
    """A shot that is being dreamt.

    Attributes:
        first: the number of its first frame.
        stop: the number behind its last frame.
        done: the number of the next frame.
        image: the result of the frame before; `None` for the first frame.
    """

    first: int
    stop: int
    done: int
    image: Image | None


class ShotRun:
    """The shots of a video in a frame folder.

    Args:
        run: the folder, whose recipe has been begun.
        starts: the numbers of the frames at which shots begin, ascending from 0; they are recorded in the folder.
        total: the number of frames.

    Raises:
        DreamError: a state is damaged, or the folder cannot be written.
    """

    def __init__(self, run: FrameFolder, starts: Sequence[int], total: int) -> None:
        self._run = run
        path = run.shots_path
        if not path.exists():
            run.write(path, lambda temporary: temporary.write_text(json.dumps(list(starts)), encoding="utf-8"))
        self._shots = [self._resumed(first, stop) for first, stop in zip(starts, [*starts[1:], total])]

    @property
    def done(self) -> int:
        """The number of frames that exist."""
        return sum(shot.done - shot.first for shot in self._shots)

    def dream(self, net: Net, frames: Reader, carry: float, guides: Reader | None, **dream: Any) -> Iterator[Path]:
        """Dream the missing frames in this process, one shot after the other.

        Args:
            net: the network.
            frames: gives the frames from a number on, (H, W, 3) RGB 0..255.
            carry: see `video_frames`.
            guides: the same for the guides of the frames, of which there must be as many; `None`: there are none.
            dream: other arguments of `video_frames`, among them the run's `seed`.

        Yields:
            The path of each new frame, as soon as it is written.

        Raises:
            DreamError: as `video_frames`; or the frame cannot be written.
        """
        source = _Forward(frames)
        for shot in self._unfinished():
            begin = max(shot.first, shot.done - 1)
            after = None if shot.image is None else Frame(0, shot.image, dream["seed"])
            images = (source.read(index) for index in range(begin, shot.stop))
            shown = None if guides is None else guides(begin)
            for frame in video_frames(net, images, carry, after=after, guides=shown, **dream):
                yield self._save(shot, begin + frame.index, frame.image)
        self._finish()

    def dream_on_cluster(
        self,
        frames: Reader,
        carry: float,
        guide: _Guide = None,
        guides: Reader | None = None,
        mask: FittedMask | None = None,
        scheduler: str | None = None,
        workers: int | None = None,
        gpu: int | str | None = None,
    ) -> Iterator[Path]:
        """Dream the missing frames on a Dask cluster, several shots at a time.

        A frame is a task of its own, which gets the frame before and its dream. So a worker that dies costs one frame,
        and memory holds two frames for each shot that is being dreamt.

        Args:
            frames: see `dream`.
            carry: see `dream`.
            guide: the guide of all frames, (H, W, 3) RGB, or a list of several.
            guides: see `dream`.
            mask: the mask of all frames.
            scheduler: see `cluster.render_on_cluster`.
            workers: see `cluster.render_on_cluster`.
            gpu: see `cluster.render_on_cluster`.

        Yields:
            The path of each new frame, as soon as it is written.

        Raises:
            DreamError: as `cluster.render_on_cluster`.
            VideoError: a frame cannot be dreamt on any of the workers.
        """
        assert self._run.recipe is not None
        recipe = replace(self._run.recipe, guide_sha256=None)
        with connected_client(scheduler, workers) as client:
            from distributed import as_completed

            waiting, lanes, futures = self._unfinished(), {}, as_completed()

            def submit(lane: _Lane) -> None:
                future = client.submit(_dream_on_worker, recipe, *lane.task(guide), mask, carry, gpu, pure=False)
                lanes[future] = lane
                futures.add(future)

            def fill() -> None:
                """Begin a shot for each worker that has nothing to do next."""
                while len(lanes) < TASKS_PER_WORKER * max(1, worker_count(client)):
                    shot = next(waiting, None)
                    if shot is None:
                        return
                    submit(_Lane(shot, frames, guides))

            fill()
            for future in futures:
                lane = lanes.pop(future)
                result = future.exception() or future.result()  # either may be an exception
                future.release()
                if isinstance(result, Exception):
                    raise VideoError(f"frame {lane.shot.done} could not be dreamt: {result}")
                yield self._save(lane.shot, lane.shot.done, result)
                shot = lane.shot if lane.shot.done < lane.shot.stop else next(waiting, None)
                if shot is not None:
                    lane.shot = shot
                    submit(lane)
                fill()
        self._finish()

    def _resumed(self, first: int, stop: int) -> _Shot:
        """A shot as far as it was dreamt, by itself or in a run through all frames."""
        done, state = read_state(self._state_path(first))
        if first < self._run.done and done < self._run.done:
            done, state = min(self._run.done, stop), self._run.state
        return _Shot(first, stop, max(first, done), state.get("image") if first < done < stop else None)

    def _unfinished(self) -> Iterator[_Shot]:
        return (shot for shot in self._shots if shot.done < shot.stop)

    def _save(self, shot: _Shot, index: int, image: Image) -> Path:
        path = self._run.save_image(index, image)
        packed = packed_state(index, {"image": image})
        self._run.write(self._state_path(shot.first), lambda temporary: temporary.write_bytes(packed))
        shot.done, shot.image = index + 1, image
        return path

    def _finish(self) -> None:
        self._run.done = self._shots[-1].stop

    def _state_path(self, first: int) -> Path:
        return self._run.folder / f"shot-{first:05d}.npz"


def recorded_shots(run: FrameFolder) -> list[int] | None:
    """The numbers of the frames at which the shots of a run begin; `None` if it was not divided into shots.

    Raises:
        DreamError: the file is damaged.
    """
    path = run.shots_path
    if run.recipe is None or not path.exists():
        return None
    check_regular_file(path, math.inf, DreamError)
    try:
        starts = json.loads(path.read_text(encoding="utf-8"))
        if starts[0] == 0 and all(type(one) is int and one < other for one, other in zip(starts, starts[1:])):
            return list(starts)
    except (ValueError, TypeError, LookupError):
        pass
    raise DreamError(f"{path} is damaged; remove the folder {run.folder} and begin again")


class _Forward:
    """Reads frames by ascending numbers, from one pass over the video."""

    def __init__(self, frames: Reader) -> None:
        self._frames = frames
        self._images: Iterator[Image] | None = None
        self._index = -1

    def read(self, index: int) -> Image:
        """The frame with this number, which may be the one that was read last."""
        if self._images is None:
            self._images, self._index = self._frames(index), index - 1
        while self._index < index:
            image = next(self._images, None)
            if image is None:
                raise VideoError(f"frame {index} is missing: the video was changed while it was read; begin again")
            self._image, self._index = image, self._index + 1
        return self._image


class _Lane:
    """Shots that are dreamt one after the other, while other lanes dream others.

    Args:
        shot: the first shot.
        frames: see `ShotRun.dream`.
        guides: see `ShotRun.dream`.

    Attributes:
        shot: the current shot.
    """

    def __init__(self, shot: _Shot, frames: Reader, guides: Reader | None) -> None:
        self.shot = shot
        self._frames = _Forward(frames)
        self._guides = None if guides is None else _Forward(guides)
        self._source: tuple[int, Image] | None = None  # the frame that was read last, with its number

    def task(self, guide: _Guide) -> tuple[Image, tuple[Image, Image] | None, _Guide]:
        """The next frame of the shot, the one before with its result, and the guide."""
        index, result = self.shot.done, self.shot.image
        before = None
        if result is not None:
            known = self._source is not None and self._source[0] == index - 1
            before = (self._source[1] if known and self._source else self._frames.read(index - 1)), result
        source = self._frames.read(index)
        self._source = index, source
        return source, before, guide if self._guides is None else self._guides.read(index)


def _dream_on_worker(
    recipe: Recipe,
    source: Image,
    before: tuple[Image, Image] | None,
    guide: _Guide,
    mask: FittedMask | None,
    carry: float,
    gpu: int | str | None,
) -> Image | DreamError:
    with net_lock:
        try:
            net = cached_net(recipe.model, gpu)
            return dream_frame(net, source, before, carry, recipe.strength, recipe.settings(net, guide, mask))
        except DreamError as error:  # returned, because Dask would print the traceback
            return error
