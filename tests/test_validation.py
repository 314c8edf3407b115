"""What error messages quote of a value."""

import numpy as np

from deepdream import validation


def test_long_values_are_shown_in_part():
    assert validation.short_repr("a" * 78) == repr("a" * 78)
    assert validation.short_repr("a" * 79) == "'" + "a" * 52 + "…" + "a" * 25 + "'"
    assert len(validation.short_repr(10**400)) == 80
    assert validation.short_repr(np.zeros((2, 2))) == "array([[0., 0.], [0., 0.]])"
