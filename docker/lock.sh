#!/bin/sh
# Write anew what the image installs from the package index: every version, every file's hash. Needs uv (pip install uv).
set -eu
cd "$(dirname "$0")/.."
lock() {
  uv pip compile --quiet --python /usr/bin/python3 --python-platform x86_64-manylinux_2_28 --generate-hashes \
    --no-annotate --custom-compile-command "sh docker/lock.sh" --upgrade "$@"
}
requirements() { python3 -c "import sys; sys.path.insert(0, 'pycaffe'); import variant; print('\n'.join(variant.$1))"; }

lock --extra cluster --extra heif --extra notebooks --extra playground --extra video pyproject.toml pycaffe/pyproject.toml docker/jupyter.in -o docker/requirements.txt
# CUDA 13.0's libraries, for every driver that runs CUDA 13.
requirements RUNTIME | lock --constraint docker/cuda.in - -o docker/cuda.txt
requirements 'CUDNN + variant.CUDNN_RUNTIME' | lock --constraint docker/cuda.in --no-emit-package nvidia-cublas - \
  -o docker/cudnn.txt
