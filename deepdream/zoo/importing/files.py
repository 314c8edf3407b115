"""Reads a file of tensors, whatever its format."""

from __future__ import annotations

from pathlib import Path

from ...errors import WeightsError
from ...io.files import check_regular_file
from .keras_files import HDF5_START, read_keras
from .safetensors import read_safetensors
from .tensors import Tensor
from .torch_files import PICKLE_START, ZIP_START, read_pickles, read_zip

# Formats of other contents, by their suffix, and what to do instead.
_OTHER_FORMATS = {
    ".onnx": "ONNX is not read; save the network's weights from PyTorch or Keras",
    ".keras": "a whole model is not read; save its weights with model.save_weights",
}
_FORMATS = "read are .pth and .pt (torch.save), .safetensors, and .h5 (Keras)"
MAX_FILE_BYTES = 2**32  # VGG-19, the largest of these networks, has 575 MB in float32


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, whose format its first bytes tell; the prefixes that training in parallel adds are cut.

    Args:
        path: a state dict of PyTorch, a file of the safetensors format, or weights that Keras wrote as HDF5.

    Returns:
        {name: tensor}; no numbers have been read yet.

    Raises:
        WeightsError: it cannot be read, is in another format, is damaged, or would run code.
    """
    check_regular_file(path, MAX_FILE_BYTES, WeightsError)
    if path.suffix.lower() in _OTHER_FORMATS:
        raise WeightsError(f"{_OTHER_FORMATS[path.suffix.lower()]}; {_FORMATS}")
    try:
        with open(path, "rb") as file:
            start = file.read(9)
        # First, because the length of its header comes first, and may be the bytes of another format.
        if path.suffix == ".safetensors" or start[8:] == b"{":
            tensors = read_safetensors(path)
        elif start.startswith(ZIP_START):
            tensors = read_zip(path)
        elif start.startswith(HDF5_START):
            tensors = read_keras(path)
        elif start.startswith(PICKLE_START):
            tensors = read_pickles(path)
        else:
            raise WeightsError(f"its format is not known; {_FORMATS}")
    except OSError as error:
        raise WeightsError(f"it cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a null byte
        raise WeightsError(f"it cannot be read: {error}") from None
    return {name.replace("module.", ""): tensor for name, tensor in tensors.items()}
