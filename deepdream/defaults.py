"""A default has one home, the signature of a library function: the command, recipes and the page read it there."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def defaults_of(function: Callable[..., Any]) -> dict[str, Any]:
    """{name: default} of a function's parameters; `inspect.Parameter.empty` for those without one."""
    return {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}
