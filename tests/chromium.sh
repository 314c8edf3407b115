#!/bin/sh
# Install Chromium, which the tests of the playground's page need. Without the right to install, print the one line that
# does it, and fail.
set -eu
command -v chromium >/dev/null && exit 0
if [ "$(id -u)" != 0 ]; then
  echo "Chromium is missing. Run this, then make again:" >&2
  echo "sudo apt-get install -y --no-install-recommends chromium" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || true
apt-get install -y -qq --no-install-recommends chromium >&2
