"""What a notebook says is checked by `claim`, and what its reader answers by `check`; both answer in words."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..text import shorten

STRICT = "DEEPDREAM_STRICT"  # the environment variable that makes a false claim an error


@contextlib.contextmanager
def claim(sentence: str) -> Iterator[None]:
    """A claim of the text, which the block checks by `assert`.

    It must hold with the published settings: the tests and `make notebooks-run` set the variable DEEPDREAM_STRICT, and
    then a claim that is false is an error. With other settings or another network it may be false. Then a sentence says
    so, and the notebook continues.

    Args:
        sentence: the claim, a full sentence.

    Raises:
        AssertionError: the claim is false, and DEEPDREAM_STRICT is 1.

    Example:
        >>> with claim("Two is more than three."):
        ...     assert 2 > 3
        With these settings this does not hold: Two is more than three.
    """
    try:
        yield
    except AssertionError as error:
        if os.environ.get(STRICT) == "1":
            raise AssertionError(sentence) from error
        print(f"With these settings this does not hold: {sentence}")


def check(
    exercise: int | str,
    answer: Any,
    expected: Any,
    hint: str = "",
    tolerance: float = 0.01,
) -> None:
    """Say in words whether the answer to an exercise is right. Nothing that is answered ends the notebook.

    Args:
        exercise: its number.
        answer: the reader's answer; `...`, which stands in the notebook at first, is none.
        expected: the right answer: a number, a text, or numbers in an array or a list. If no single answer is right, a
            function of the answer that returns `True`, or a sentence that says what is wrong with it.
        hint: a sentence that is added if the answer is wrong.
        tolerance: by how much a number may differ, relative to the largest expected one.

    Example:
        >>> check(1, 5.001, 5)
        Exercise 1: right.
        >>> check(2, 4, 5, hint="Add the pool.")
        Exercise 2: not yet. Your answer is 4, which is too small. Add the pool.
    """
    if answer is ...:
        print(f"Exercise {exercise}: no answer yet. Replace the dots, and run this cell again.")
        return
    try:
        wrong = _fault(answer, expected, tolerance)
    except Exception as error:  # the reader's own code, or an answer of another kind
        wrong = f"It cannot be checked, {type(error).__name__}: {error}"
        if "not callable" in str(error):
            wrong = "Give the function itself, without brackets and arguments."
        wrong = f"{shorten(wrong, 200).rstrip('.')}."
    print(f"Exercise {exercise}: " + ("right." if not wrong else " ".join(["not yet.", wrong, hint]).rstrip()))


def _fault(answer: Any, expected: Any, tolerance: float) -> str:
    """What is wrong with an answer, as a sentence; empty if it is right."""
    if answer is None:
        return "Your answer is None, which is what a function without `return` returns."
    if callable(expected):
        verdict = expected(answer)
        return verdict if isinstance(verdict, str) else "" if verdict else "This is not what was asked for."
    if isinstance(expected, str):
        same = isinstance(answer, str) and answer.strip().lower() == expected.lower()
        return "" if same else f"Your answer is {_in_short(answer)}."
    if callable(answer):
        return "Your answer is a function; give what it returns."
    numbers, right = np.asarray(answer, float), np.asarray(expected, float)
    if numbers.size == 1 and not right.ndim:
        numbers = numbers.reshape(())  # many functions return an array of one number
    if numbers.shape != right.shape:
        return f"Your answer is {_shape(numbers)}; expected is {_shape(right)}."
    if not np.isfinite(numbers).all():
        return "Your answer has a number that is not finite."
    if np.abs(numbers - right).max(initial=0) <= tolerance * np.abs(right).max(initial=0):
        return ""
    if right.ndim:
        place = np.unravel_index(np.abs(numbers - right).argmax(), right.shape)
        return (
            f"Number {', '.join(str(i + 1) for i in place)} of your answer is {numbers[place]:.4g}: that is not right."
        )
    if numbers == -right:
        return f"Your answer is {_in_short(answer)}, which has the wrong sign."
    return f"Your answer is {_in_short(answer)}, which is too {'small' if numbers < right else 'large'}."


def _shape(numbers: np.ndarray[Any, Any]) -> str:
    return f"an array of shape {numbers.shape}" if numbers.ndim else "a single number"


def _in_short(answer: Any) -> str:
    return f"{answer:.4g}" if isinstance(answer, float) else shorten(repr(answer), 60)
