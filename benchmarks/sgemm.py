"""The speed of this machine's multiplications: a product of two large float32 matrices by NumPy's BLAS."""

import statistics
import time

import numpy as np

from . import contender


def main():
    n = contender.asked().matrix
    a, b = (np.random.RandomState(seed).rand(n, n).astype(np.float32) for seed in (0, 1))
    product = np.empty_like(a)
    seconds = []
    for _ in range(30):
        begin = time.perf_counter()
        np.matmul(a, b, out=product)
        seconds.append(time.perf_counter() - begin)
    contender.answer(flops=2 * n**3 / statistics.median(seconds[5:]))


if __name__ == "__main__":
    main()
