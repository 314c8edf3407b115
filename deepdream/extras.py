"""Packages that only some features need: the extras of `pip install 'deepdream-caffe[…]'`."""

from __future__ import annotations

import importlib
from types import ModuleType

from .errors import DreamError


def require_extra(module: str, use: str, extra: str = "video") -> ModuleType:
    """Import a module of an extra.

    Args:
        module: its name.
        use: the feature that needs it, as the error names it.
        extra: the extra that installs it.

    Returns:
        The module.

    Raises:
        DreamError: it is not installed; the message says how to get it.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise DreamError(f"{use} needs the extra `{extra}`: pip install 'deepdream-caffe[{extra}]'") from None
