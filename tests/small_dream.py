"""A small dream, to compare builds of Caffe: `small_dream.py FILE.npz`, then `small_dream.py --compare FILE FILE`.

It needs only deepdream, a Caffe and, the first time, the package index, for SqueezeNet's weights.
"""

import argparse
import sys

import numpy as np

MIN_CORRELATION = 0.99


def dream(file, size):
    """Write the image and the dream, float32 (H, W, 3), into a file."""
    import deepdream as dd

    net = dd.load("squeezenet_v1.1")
    image = dd.picture("clouds", max_size=size)
    np.savez(file, image=image, dream=dd.deepdream(net, image, octave_n=3, iter_n=5, seed=2015))


def compare(files, exact):
    """Print how two dreams differ; returns whether they are the same, or nearly if they need not be `exact`."""
    (image, dreamt), (other_image, other) = ([np.load(file)[key] for key in ("image", "dream")] for file in files)
    if not np.array_equal(image, other_image):
        print("the images differ before the dream")
        return False
    if np.array_equal(dreamt, other):
        print("the same bits")
        return True
    correlation = np.corrcoef((dreamt - image).ravel(), (other - image).ravel())[0, 1]
    print(f"other bits; correlation of the detail: {correlation:.6f}")
    return not exact and correlation > MIN_CORRELATION


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--size", type=int, default=200, help="the longer side in pixels")
    parser.add_argument("--compare", action="store_true", help="compare two files; fail unless the bits are the same")
    parser.add_argument("--near", action="store_true", help=f"a correlation above {MIN_CORRELATION} is enough")
    arguments = parser.parse_args()
    if arguments.compare:
        return 0 if compare(arguments.files, exact=not arguments.near) else 1
    dream(arguments.files[0], arguments.size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
