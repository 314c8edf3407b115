#!/bin/sh
# The wheels in dist/, installed by pip into fresh systems with nothing but Python: sh tests/wheels.sh x86_64|aarch64 SUITE...
#
# A small dream must have the same bits there as in this checkout's environment, with every kind of kernels that this
# processor can run. For another processor than this one's, emulated by qemu-user-static, it must be nearly the same, and
# the tests of the fast layers must pass. As root, with debootstrap; the systems are kept in build/distro.
set -eu
cd "$(dirname "$0")/.."
. tests/debian_root.sh
processor=$1
shift
case $processor in x86_64) debian=amd64 ;; aarch64) debian=arm64 ;; esac
EMULATED=$([ "$processor" = "$(uname -m)" ] || echo 1)
here=$PWD/build/small-dreams
mkdir -p "$here"

isas=""
for isa in avx512 avx2 baseline; do
  if PYCAFFE_ISA=$isa .venv/bin/python tests/small_dream.py "$here/$isa.npz" 2>/dev/null; then isas="$isas $isa"; fi
done
# Another processor's kernels have names of their own: those that it chooses are compared with those that this one would.
[ -z "$EMULATED" ] || isas=$(echo "$isas" | cut -d " " -f 2)
for suite in "$@"; do
  root=$PWD/build/distro/$suite-$debian-python
  make_root "$suite" "$root" "$debian" python3,python3-venv
  rm -rf "$root/venv" "$root/opt/dist" "$root/opt/wheels" "$root/opt/tests"
  mkdir "$root/opt/tests"
  cp -r dist "$root/opt"
  cp tests/small_dream.py tests/pycaffe/test_fast_layers.py "$root/opt/tests"
  enter "$root" sh -euc '
    python3 -m venv /venv
    cd /opt
    /venv/bin/pip download --quiet --no-index --no-deps --find-links dist --dest wheels deepdream-caffe deepdream-pycaffe
    /venv/bin/pip install --quiet --only-binary :all: wheels/*.whl pytest
    /venv/bin/python --version
    ls wheels
  '
  [ -z "$EMULATED" ] || enter "$root" /venv/bin/python -m pytest -q -p no:cacheprovider /opt/tests/test_fast_layers.py
  for isa in $isas; do
    there=$([ -n "$EMULATED" ] || echo "$isa")
    enter "$root" env PYCAFFE_ISA="$there" /venv/bin/python /opt/tests/small_dream.py /opt/tests/dream.npz
    echo "$suite $processor, $isa: $(
      .venv/bin/python tests/small_dream.py --compare ${EMULATED:+--near} "$here/$isa.npz" "$root/opt/tests/dream.npz")"
  done
done
