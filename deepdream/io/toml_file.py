"""Reads TOML files: one clear error for everything that can be wrong with one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ..errors import DreamError
from ..validation import truncate
from .files import check_regular_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(path: str | Path, max_bytes: int, error: type[DreamError] = DreamError) -> dict[str, Any]:
    """The table in a TOML file.

    Args:
        path: the path of the file.
        max_bytes: the largest size of the file.
        error: the exception's class.

    Raises:
        DreamError: the file cannot be read, or is not TOML; of the class `error`.
    """
    check_regular_file(path, max_bytes, error)
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as reason:
        raise error(f"{path} cannot be read: {reason.strerror}") from None
    except UnicodeDecodeError:
        raise error(f"{path} is not TOML: it is not text in UTF-8") from None
    except tomllib.TOMLDecodeError as reason:
        raise error(f"{path} is not TOML: {truncate(str(reason), 160)}") from None
    except RecursionError:
        raise error(f"{path} cannot be read as TOML: its tables and lists are nested too deeply") from None
    except ValueError as reason:  # Python reads no whole number of thousands of digits, and no null byte in a path
        what = "a number in it has thousands of digits" if "digits" in str(reason) else str(reason)
        raise error(f"{path} cannot be used: {what}") from None
