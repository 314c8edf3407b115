#!/bin/sh
# Install what compile.sh needs into a Debian 11 for x86-64: compilers and libraries for both processors.
set -eu
export DEBIAN_FRONTEND=noninteractive
dpkg --add-architecture arm64
apt-get update
apt-get install -y --no-install-recommends cmake g++ g++-aarch64-linux-gnu libboost-dev make protobuf-compiler python3
for processor in amd64 arm64; do
  # HDF5's headers cannot be installed for two processors at once. Their files are enough: each has folders of its own.
  apt-get install -y --no-install-recommends libopenblas-openmp-dev:$processor libprotobuf-dev:$processor \
    zlib1g-dev:$processor libaec-dev:$processor libhdf5-103-1:$processor libhdf5-hl-100:$processor
  mkdir -p /debs
  (cd /debs && apt-get download libhdf5-dev:$processor && dpkg --extract libhdf5-dev_*_$processor.deb /)
done
