"""The options of what is written as a film: `--mp4`, `--gif`, `--fps`."""

from pathlib import Path
from typing import Optional

import typer

from ..animation import RATE, check_animation, write_animation
from ..errors import VideoError
from ..image import read_image
from .files import check_writable
from .options import check_range
from .screen import progress_line

MP4 = typer.Option(None, "--mp4", metavar="OUT", show_default=False, help="Write the frames as an MP4 as well.")
GIF = typer.Option(None, "--gif", metavar="OUT", show_default=False, help="Write the frames as a GIF as well.")
FPS = typer.Option(RATE, "--fps", help="Frames a second of the film.")


def check_films(mp4: Optional[Path], gif: Optional[Path], fps: float):
    """The films to write, a list of paths; what is wrong with them is found before the first dream."""
    check_range("--fps", fps, 0.01, 1000)
    films = []
    for option, path in (("--mp4", mp4), ("--gif", gif)):
        if path is not None:
            if path.suffix.lower() != f".{option[2:]}":
                raise VideoError(f"{option} {path}: the name must end in .{option[2:]}")
            check_film(path, option)
            films.append(path)
    return films


def check_film(path, option):
    """Refuse a film that cannot be written."""
    check_animation(path)
    check_writable(path, path, option)


class Pictures:
    """Files as images, read one at a time and as often as they are iterated over."""

    def __init__(self, paths, seen=None):
        self._paths, self._seen = paths, seen

    def __iter__(self):
        for path in self._paths:
            yield read_image(path)
            if self._seen:
                self._seen()


def write_films(films, paths, fps):
    """Write each of the films from the frames at `paths`, with a progress line, and print where it is."""
    for film in films:
        _write_film(film, paths, fps)
        print(film.resolve(), flush=True)


def _write_film(film, paths, fps):
    passes = 2 if film.suffix.lower() == ".gif" else 1
    with progress_line() as progress:
        task = progress.add_task(f"writing {film}", total=passes * len(paths))
        write_animation(film, Pictures(paths, lambda: progress.update(task, advance=1)), fps)
