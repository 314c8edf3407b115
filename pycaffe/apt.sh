#!/bin/sh
# Install those of the Debian packages PACKAGE... that are missing; without arguments, those that Caffe is built from and
# runs on (apt-packages.txt).
#
#     sh apt.sh [PACKAGE...]
#
# Without the right to install, print the one line that does it, and fail.
set -eu
wanted="$*"
[ -n "$wanted" ] || wanted="$(cat "$(dirname "$0")/apt-packages.txt")"
command -v dpkg-query >/dev/null || {
  echo "This is not Debian: install what corresponds to these packages, then see pycaffe/README.md:" $wanted >&2
  exit 1
}
missing=""
for package in $wanted; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "Debian packages are missing. Run this, then make again:" >&2
  echo "sudo apt-get install -y --no-install-recommends$missing" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# An unreachable third-party list is a failure of update's but none of ours: install says what is missing.
apt-get update -qq || true
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 $missing >&2
