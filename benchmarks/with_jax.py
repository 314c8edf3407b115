"""The same dream in JAX, compiled: a step, from the shift to the clipping, is one function for each size.

The network is made from the layers of the definition, with the same weights.
"""

import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from . import contender

LAYOUT = ("NCHW", "OIHW", "NCHW")


def network(layers, weights, end):
    """A function of a picture (1, 3, H, W) that returns the layer `end`; the arguments are those of PyTorch's."""
    plan = layers[: [layer["name"] for layer in layers].index(end) + 1]

    def forward(picture):
        blobs = {}
        for layer in plan:
            bottoms = [picture] if layer["type"] == "Input" else [blobs[bottom] for bottom in layer["bottom"]]
            blobs[layer["top"][0]] = run_layer(layer, bottoms, weights.get(layer["name"]))
        return blobs[end]

    return forward


def run_layer(layer, bottoms, weights):
    kind, bottom = layer["type"], bottoms[0]
    if kind in ("Input", "Dropout"):
        return bottom
    if kind == "Convolution":
        p = layer["convolution_param"]
        pad, stride = p.get("pad", [0])[0], p.get("stride", [1])[0]
        weight, bias = weights
        found = lax.conv_general_dilated(
            bottom,
            weight,
            (stride, stride),
            [(pad, pad)] * 2,
            dimension_numbers=LAYOUT,
            feature_group_count=p.get("group", 1),
        )
        return found + bias[:, None, None]
    if kind == "ReLU":
        return jax.nn.relu(bottom)
    if kind == "Pooling":
        return pool(bottom, layer["pooling_param"])
    if kind == "LRN":
        p = layer["lrn_param"]
        half = p["local_size"] // 2
        total = lax.reduce_window(
            bottom * bottom,
            0.0,
            lax.add,
            (1, p["local_size"], 1, 1),
            (1, 1, 1, 1),
            [(0, 0), (half, half), (0, 0), (0, 0)],
        )
        return bottom / (p.get("k", 1) + p["alpha"] / p["local_size"] * total) ** p["beta"]
    if kind == "Concat":
        return jnp.concatenate(bottoms, 1)
    raise ValueError(f"layer {layer['name']}: {kind} layers are not implemented for JAX")


def pool(bottom, p):
    """Max-pooling whose last window may reach over the edge, as Caffe's."""
    if p.get("pool", "MAX") != "MAX":
        raise ValueError("only max-pooling is implemented for JAX")
    size, stride, pad = p["kernel_size"], p.get("stride", 1), p.get("pad", 0)
    edges = [(0, 0), (0, 0)]
    for n in bottom.shape[2:]:
        count = -(-(n + 2 * pad - size) // stride) + 1
        if pad and (count - 1) * stride >= n + pad:
            count -= 1
        edges.append((pad, max(0, (count - 1) * stride + size - n - pad)))
    return lax.reduce_window(bottom, -jnp.inf, lax.max, (1, 1, size, size), (1, 1, stride, stride), edges)


def resize(picture, shape):
    """Bilinear, with corners on corners, as SciPy's `zoom`."""
    for axis, n in zip((2, 3), shape):
        at = np.linspace(0, picture.shape[axis] - 1, n)
        low = np.minimum(at.astype(int), picture.shape[axis] - 2)
        share = jnp.asarray(at - low, jnp.float32).reshape([-1 if i == axis else 1 for i in range(4)])
        picture = (1 - share) * jnp.take(picture, low, axis) + share * jnp.take(picture, low + 1, axis)
    return picture


def deepdream(gradient, picture, mean, iter_n, octave_n, octave_scale, step_size, jitter, clip, seed):
    """A dream, (1, 3, H, W), of a picture of that shape, mean subtracted; `gradient` is a function of such a one."""
    shifts = np.random.RandomState(seed)
    sizes = [picture]
    while len(sizes) < octave_n:
        sizes.append(resize(sizes[-1], [round(n / octave_scale) for n in sizes[-1].shape[2:]]))
    added = jnp.zeros_like(sizes[-1])
    for size in reversed(sizes):
        picture = size + resize(added, size.shape[2:])
        for _ in range(iter_n):
            x, y = shifts.randint(-jitter, jitter + 1, 2)
            picture = step(gradient, picture, y, x, mean, step_size, clip)
        added = picture - size
    return picture


@partial(jax.jit, static_argnums=(0, 5, 6))
def step(gradient, picture, y, x, mean, step_size, clip):
    change = gradient(jnp.roll(picture, (y, x), (2, 3)))
    change *= step_size / jnp.abs(change).mean()
    picture += jnp.roll(change, (-y, -x), (2, 3))
    return jnp.clip(picture, -mean, 255 - mean) if clip else picture


def main():
    work = contender.asked()
    weights = {name: [jnp.asarray(value) for value in values] for name, values in contender.weights(work).items()}
    layers = json.loads((work.folder / "layers.json").read_text(encoding="utf-8"))
    forward = network(layers, weights, work.end)
    mean = jnp.asarray(work.mean, jnp.float32).reshape(1, 3, 1, 1)

    def tensor(picture):
        return jnp.asarray(np.moveaxis(picture, 2, 0)[None, ::-1]) - mean

    def gradient(picture):
        output, back = jax.vjp(forward, picture)
        return back(output)[0]

    def dream(picture, octave_n, iter_n):
        settings = {**work.settings, "octave_n": octave_n, "iter_n": iter_n}
        return np.moveaxis(np.asarray(deepdream(gradient, tensor(picture), mean, **settings) + mean)[0, ::-1], 0, 2)

    contender.run(dream, lambda picture: np.asarray(jax.jit(gradient)(tensor(picture)))[0], compiles=True)


if __name__ == "__main__":
    main()
