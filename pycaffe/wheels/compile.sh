#!/bin/sh
# Compile Caffe's extension modules in a Debian 11: sh compile.sh x86_64|aarch64 SOURCES OUT
#
# SOURCES is what wheels.py gathers: pycaffe/, nanobind/, headers/SUFFIX/ (one folder for each module) and Caffe's tarball.
set -eu
processor=$1 sources=$2 out=$3
work=/tmp/pycaffe-$processor
modules=""
for headers in "$sources"/headers/.[!.]*; do
  suffix=$(basename "$headers")
  case $suffix in *.cpython-*) suffix=${suffix%.so}-$processor-linux-gnu.so ;; esac
  modules="$modules;$suffix=$headers"
done
cross=""
[ "$processor" = "$(uname -m)" ] ||
  cross="-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=$processor -DCMAKE_CXX_COMPILER=$processor-linux-gnu-g++"
# shellcheck disable=SC2086
PYCAFFE_SOURCE=$(echo "$sources"/*.orig.tar.gz) cmake -S "$sources/pycaffe" -B "$work" -DCMAKE_BUILD_TYPE=Release \
  -DPYCAFFE_STATIC_OPENBLAS=ON -DPYCAFFE_NANOBIND="$sources/nanobind" "-DPYCAFFE_MODULES=${modules#;}" \
  -DProtobuf_PROTOC_EXECUTABLE=/usr/bin/protoc $cross
cmake --build "$work" --parallel "$(nproc)"
mkdir -p "$out"
cp "$work"/_caffe*.so "$out"
# The libraries that the module needs, for auditwheel to put beside it.
folder=/usr/lib/$processor-linux-gnu
cp -L "$folder"/libgomp.so.1 "$folder"/libprotobuf.so.23 "$folder"/libhdf5_serial.so.103 \
  "$folder"/libhdf5_serial_hl.so.100 "$folder"/libsz.so.2 "$folder"/libaec.so.0 "$out"
"$processor-linux-gnu-strip" --strip-unneeded "$out"/*.so*
# Boost is headers only; HDF5's headers are not installed as a package (packages.sh).
case $processor in x86_64) debian=amd64 ;; aarch64) debian=arm64 ;; esac
dpkg-query --show --showformat='${Package} ${Version} ${Architecture}\n' libboost-dev "libprotobuf-dev:$debian" \
  "libhdf5-103-1:$debian" "libhdf5-hl-100:$debian" "libopenblas-openmp-dev:$debian" "zlib1g-dev:$debian" \
  "libaec-dev:$debian" "libgomp1:$debian" > "$out/packages.txt"
