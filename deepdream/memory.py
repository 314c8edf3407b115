"""How much memory a dream needs, and how much there is.

Linux ends a process that takes too much instead of refusing it the memory, so a dream is measured before it begins.
"""

import contextlib
import math
import os
from collections import Counter
from pathlib import Path

from .device import free_gpu_bytes, has_cudnn
from .ends import weights_of

try:
    import resource
except ImportError:  # not on Windows
    resource = None

# What does not grow with the picture: BLAS buffers, packed weights, Python's own. Measured.
FIXED = 60 * 2**20
# The same on a GPU: CUDA's, cuBLAS's and cuDNN's own. Not measured; a dream that finds less goes on in smaller tiles.
FIXED_ON_GPU = 512 * 2**20
CUDNN_WORKSPACE = 3 * 8 * 2**20  # a convolution's: Caffe allows 8 MiB, in each of three streams


def gradient_bytes(net, end, height, width, backward=True):
    """An estimate of what Caffe allocates for one forward and backward pass to `end`, for a picture of this size.

    Every blob up to `end` has its data and its diff; some layers keep more beside them. Of several layers, all but
    the last have their diffs kept besides while the forward pass goes on.

    **Arguments:** `net`: a `Net`; `end`: a checked layer name or {layer: weight}; `height`, `width`: of the picture or
    tile; `backward`: `False` for a forward pass alone.

    **Returns:** bytes, without the weights.
    """
    sizes = net.sizes(height, width, end)
    counts = {blob: math.prod(net.blobs[blob].shape[:2]) * size[0] * size[1] if size else net.blobs[blob].count
              for blob, size in sizes.items()}
    total = FIXED if net.gpu is None else FIXED_ON_GPU
    layers = net.layers_up_to(end)
    readers = Counter(bottom for layer in layers for bottom in layer.bottom if bottom not in layer.top)
    for layer in layers:
        for top in layer.top:
            if top not in layer.bottom:  # in place: no memory of its own
                data, diff = 0 if layer.type == "FastSplit" else 4, 4 * backward  # a split's data is its bottom's
                total += counts[top] * (data + diff)
                total += counts[top] * (diff * readers[top] if readers[top] > 1 else 0)  # the splits Caffe inserts
        total += _beside(layer, counts, sizes, cudnn=net.gpu is not None and has_cudnn())
    return total + sum(4 * counts[layer] for layer in weights_of(end) if layer != layers[-1].name)


def _beside(layer, counts, sizes, cudnn):
    """What a layer keeps besides its output's data and diff."""
    top = layer.top[0]
    if layer.type == "Convolution" and cudnn:
        return CUDNN_WORKSPACE
    if layer.type.endswith("LRN"):
        return 4 * counts[top]
    if layer.type == "Pooling":
        return 4 * counts[top]
    if layer.type == "FastPooling":
        return counts[top]
    if layer.type == "Convolution" and sizes[top]:  # upstream writes every patch of its bottom into a matrix
        kernel = (list(layer.convolution_param.kernel_size) or [layer.convolution_param.kernel_h])[0]
        channels = counts[layer.bottom[0]] // max(1, sizes[layer.bottom[0]][0] * sizes[layer.bottom[0]][1])
        return 4 * channels * kernel**2 * sizes[top][0] * sizes[top][1] if kernel > 1 else 0
    return 0


def picture_bytes(height, width):
    """What the loop itself holds of a picture of this size, in float32: the picture, its octaves, the gradient."""
    return 7 * 4 * 3 * height * width


def free_bytes(gpu=None):
    """How much memory this process may still take: what the system has available, within the limits of its control
    groups and its own (`ulimit -v`, `ulimit -d`).

    **Arguments:** `gpu`: the number of a GPU, to be told of its memory instead.

    **Returns:** bytes; `None` where the system does not tell.
    """
    if gpu is not None:
        return free_gpu_bytes(gpu)
    found = [value for value in (_available(), *_below_limits(), *_below_own_limits()) if value is not None]
    return min(found, default=None)


def _available():
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _below_limits():
    """What the limits of this process's control groups (version 2, then 1) leave."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0":
                root, limit, used, cache = "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
            elif "memory" in controllers.split(","):
                root, limit, used, cache = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                                            "total_inactive_file")
            else:
                continue
            group = Path(root + os.path.normpath("/" + path))
            # A limit may stand at any group above; in a container the path shown may not exist, and the root is ours.
            for folder in dict.fromkeys((group, *group.parents, Path(root))):
                if not folder.as_posix().startswith(root):
                    continue
                with contextlib.suppress(OSError, ValueError):
                    most = int((folder / limit).read_text(encoding="ascii"))
                    statistics = dict(part.split() for part in
                                      (folder / "memory.stat").read_text(encoding="ascii").splitlines())
                    yield most - int((folder / used).read_text(encoding="ascii")) + int(statistics.get(cache, 0))


def _below_own_limits():
    """What the limits of this process itself leave."""
    if resource is None:
        return
    with contextlib.suppress(OSError, ValueError, IndexError):
        sizes = [int(pages) * resource.getpagesize()
                 for pages in Path("/proc/self/statm").read_text(encoding="ascii").split()]
        for limit, used in ((resource.RLIMIT_AS, sizes[0]), (resource.RLIMIT_DATA, sizes[5])):
            most = resource.getrlimit(limit)[0]
            if most != resource.RLIM_INFINITY:
                yield max(0, most - used)


def gibibytes(count):
    """A number of bytes as a person reads it, as in '1.2 GiB'."""
    return f"{count / 2**30:.1f} GiB"


def out_of_memory(error):
    """Whether an exception out of Caffe says that memory could not be had."""
    text = str(error)
    return isinstance(error, MemoryError) or any(
        sign in text for sign in ("host allocation", "out of memory", "ALLOC_FAILED", "ALLOCATION_FAILED"))
