#!/bin/sh
# Upstream's own C++ tests, on emulated GPUs: sh tests/pycaffe/upstream_tests.sh [FILTER], where FILTER is gtest's.
set -eu
cd "$(dirname "$0")/../.."
python=$PWD/.venv/bin/python
build=build/upstream-tests
lists=locks/py$($python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
[ -d $build/tools ] || $python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
  --target $build/tools --requirement "$lists/caffe.txt"
export PYCAFFE_CUDA=emulated PYTHONPATH="$PWD/$build/tools"
cmake -S pycaffe -B $build -DCMAKE_BUILD_TYPE=Release -DPYCAFFE_UPSTREAM_TESTS=ON -DPython_EXECUTABLE="$python" >/dev/null
cmake --build $build --parallel "$(nproc)" --target upstream_tests
cd $build/upstream
exec ../upstream_tests --gtest_filter="${1:-*}"
