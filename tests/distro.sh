#!/bin/sh
# As a newcomer on a fresh Debian: sh tests/distro.sh bullseye|bookworm|trixie|forky [TESTS]
#
# As root, with debootstrap. What is committed is copied into a system of that release (kept in build/distro), where
# `make dream` and `make test TESTS=...` run. Packages come from this machine's mirror and package index, in its own way.
set -eu
cd "$(dirname "$0")/.."
suite=$1
tests=${2:-"tests/pycaffe tests/network tests/test_dream.py tests/test_environments.py"}
[ "$(id -u)" = 0 ] || { echo "make distro-test needs root: it makes a system with debootstrap and enters it" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "apt-get install debootstrap" >&2; exit 1; }
root=$PWD/build/distro/$suite
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | head -n 1)
if [ ! -f "$root/.complete" ]; then
  script=/usr/share/debootstrap/scripts/$suite
  [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
  mkdir -p "$root"
  debootstrap --variant=minbase "$suite" "$root" "$mirror" "$script"
  # A frozen copy of a release in the making is past its date.
  echo 'Acquire::Check-Valid-Until "false";' > "$root/etc/apt/apt.conf.d/90frozen"
  touch "$root/.complete"
fi
rm -rf "$root/deepdream"
mkdir "$root/deepdream"
git archive HEAD | tar --extract --directory "$root/deepdream"
if [ -d dist ]; then cp -r dist "$root/deepdream"; fi
# pip's own settings, and the certificates that this machine trusts.
cp -L /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
cp -L "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$root/opt/certificates.crt"
[ ! -f /etc/pip.conf ] || cp -L /etc/pip.conf "$root/etc/pip.conf"
unshare --mount sh -c '
  mount --bind /proc "$1/proc" && mount --rbind /dev "$1/dev" && exec chroot "$1" env -i HOME=/root LANG=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PIP_CERT=/opt/certificates.crt REQUESTS_CA_BUNDLE=/opt/certificates.crt SSL_CERT_FILE=/opt/certificates.crt \
    sh -euc "
      apt-get update -qq
      apt-get install -qq --no-install-recommends ca-certificates git make >/dev/null
      cd /deepdream
      make dream
      make test TESTS=\"$2\"
    "' sh "$root" "$tests"
