#!/bin/sh
# As a newcomer on a fresh Debian: sh tests/distro.sh bullseye|bookworm|trixie|forky [TESTS]
#
# As root, with debootstrap. What is committed is copied into a system of that release (kept in build/distro), where
# `make dream` and `make test TESTS=...` run. Packages come from this machine's mirror and package index, in its own way.
set -eu
cd "$(dirname "$0")/.."
. tests/debian_root.sh
suite=$1
tests=${2:-"tests/pycaffe tests/network tests/test_dream.py tests/test_environments.py"}
root=$PWD/build/distro/$suite
make_root "$suite" "$root"
rm -rf "$root/deepdream"
mkdir "$root/deepdream"
git archive HEAD | tar --extract --directory "$root/deepdream"
if [ -d dist ]; then cp -r dist "$root/deepdream"; fi
enter "$root" sh -euc '
  apt-get update -qq
  apt-get install -qq --no-install-recommends ca-certificates git make >/dev/null
  cd /deepdream
  make dream
  make test TESTS="$1"
' sh "$tests"
