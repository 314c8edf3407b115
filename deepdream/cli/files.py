"""The files a command reads and writes: what is wrong with them is found before anything is fetched or dreamt."""

import tempfile
from pathlib import Path

from .. import pictures
from ..errors import ImageError
from ..files import not_a_folder
from ..image import output_format


def check_there(name):
    """Refuse the name of a picture that does not exist, or is no file."""
    path = Path(name)
    if name not in pictures.BUILT_IN and not path.is_file():
        pictures.picture(name)  # raises, unless it is noise


def picture_targets(names, output, single="dream.png"):
    """Where each picture's dream goes: a list of paths, checked.

    **Arguments:** `names`: of the pictures; `output`: a file, or a folder, which several pictures need; `single`: what
    one picture is called in a folder.

    **Raises:** `ImageError`.
    """
    targets = _paths(names, output, single)
    for target in targets:
        check_writable(target, output)
    return targets


def check_writable(target, output, option="-o"):
    """Refuse a target that cannot be written; `output` is what was asked for, with `option`."""
    if not target.parent.is_dir():
        raise ImageError(f"{option} {output}: the folder {target.parent} {not_a_folder(target.parent)}")
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise ImageError(f"{option} {output}: the folder {target.parent} cannot be written ({error.strerror}); choose "
                         "another") from None
    if target.is_dir():
        raise ImageError(f"{option} {output}: {target} is a folder; choose another name")


def _paths(names, output, single):
    if len(names) > 1:
        if not output.is_dir():
            raise ImageError(f"-o {output}: several pictures need an existing folder; create it first")
        targets = [output / f"{Path(name.replace(':', '-')).stem}-dream.png" for name in names]
        if len(set(targets)) < len(targets):
            raise ImageError("two of the pictures have the same name, so one dream would replace the other")
        return targets
    target = output / single if output.is_dir() else output
    output_format(target)
    return [target]
