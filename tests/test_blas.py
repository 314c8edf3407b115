"""Matrix products in several threads leave BLAS's own setting as it was."""

import pytest
from threadpoolctl import threadpool_info

from deepdream import blas


def test_what_fails_in_a_match_is_raised_and_leaves_blas_as_it_was():
    before = [each["num_threads"] for each in threadpool_info()]
    with pytest.raises(ZeroDivisionError):
        blas.map_products(lambda item: 1 / item, [1, 2, 0, 4])
    assert [each["num_threads"] for each in threadpool_info()] == before
