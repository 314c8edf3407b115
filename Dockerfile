# DeepDream with Caffe for NVIDIA GPUs and for the CPU, and JupyterLab with the notebooks.
#
#     docker build -t deepdream .                                    # or: make image
#     docker run --rm --gpus all -p 8888:8888 -v weights:/weights deepdream    # JupyterLab; prints its address
#     docker run --rm --gpus all -v weights:/weights -v "$PWD:/work" deepdream deepdream dream photo.jpg
#
# Without --gpus, it computes on the CPU. CUDA's libraries come from the package index, so the base is plain Debian.
#
#     --build-arg CUDA=0                     only for the CPU, 1.3 GB
#     --build-arg CUDNN=0                    CUDA without cuDNN
#     --build-arg ARCHITECTURES="75;90"      only for these GPU generations, a shorter build
#     --build-arg PYCAFFE_WHEEL=NAME.whl     use this wheel from dist/ instead of compiling
# A wheel that fits in dist/, written by `make wheels` or `make wheel` from the same files, is used without being named.
ARG BASE=docker.io/library/debian:bookworm-slim

# --- The tools that install everything --------------------------------------------------------------------------------
FROM ${BASE} AS tools
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates python3-venv \
 && /usr/bin/python3 -m venv /opt/deepdream
WORKDIR /src

# --- Our wheels: deepdream, and Caffe, which contains the Debian libraries that it needs ------------------------------
FROM tools AS wheels
ARG PYCAFFE_WHEEL=""
COPY pycaffe pycaffe
# The pattern allows dist/ to be absent; COPY needs at least one file that exists.
COPY pyproject.toml dis[t]/*.whl dist/
COPY locks locks
ARG CUDA=1
ARG CUDNN=1
ARG ARCHITECTURES=""
RUN mkdir /wheels \
 && export PYCAFFE_CUDA=$CUDA PYCAFFE_CUDNN=$CUDNN PYCAFFE_CUDA_ARCHITECTURES=$ARCHITECTURES \
 && if [ -n "$PYCAFFE_WHEEL" ]; then cp "dist/$PYCAFFE_WHEEL" /wheels; \
    elif wheel=$(/opt/deepdream/bin/python pycaffe/wheel.py --ready); then cp "$wheel" /wheels; \
    else sh pycaffe/apt.sh \
      && /opt/deepdream/bin/pip install --quiet --no-deps --require-hashes -r locks/py3.11/wheel.txt \
      && /opt/deepdream/bin/python pycaffe/wheel.py --portable /wheels; fi
COPY . .
RUN /opt/deepdream/bin/pip install --quiet --no-deps --require-hashes -r locks/py3.11/build.txt \
 && /opt/deepdream/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels .

# --- Their packages from the package index, each file by its hash -----------------------------------------------------
FROM tools AS libraries
COPY docker/*.txt docker/
ARG CUDA=1
ARG CUDNN=1
RUN lists="-r docker/requirements.txt"; \
    [ "$CUDA" = 0 ] || lists="$lists -r docker/cuda.txt"; \
    [ "$CUDA" = 0 ] || [ "$CUDNN" = 0 ] || lists="$lists -r docker/cudnn.txt"; \
    /opt/deepdream/bin/pip install --quiet --no-cache-dir --no-deps --only-binary :all: --require-hashes $lists \
 # Headers, and the parts of CUDA that are not loaded here.
 && rm -rf /opt/deepdream/lib/python3.*/site-packages/nvidia/*/include \
      /opt/deepdream/lib/python3.*/site-packages/nvidia/cu13/lib/libnvblas.so.*

# --- The image --------------------------------------------------------------------------------------------------------
FROM ${BASE} AS image
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* \
 && useradd --create-home --uid 1000 dreamer \
 # Any user may run it (docker run --user); there is a home, a folder for the weights and one for the images.
 && mkdir /weights /work && chmod 1777 /weights /work /home/dreamer
COPY --from=libraries /opt/deepdream /opt/deepdream
# Its contents are listed in /usr/share/doc/deepdream/sbom.cdx.json (CycloneDX).
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels --mount=type=bind,from=wheels,source=/src,target=/src \
    /opt/deepdream/bin/pip install --quiet --no-cache-dir --no-deps --no-index /wheels/*.whl \
 && /opt/deepdream/bin/pip check \
 && /opt/deepdream/bin/python -B /src/docker/sbom.py /usr/share/doc/deepdream/sbom.cdx.json
COPY --chown=dreamer README.md notebook[s] /home/dreamer/notebooks/

ENV PATH=/opt/deepdream/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/home/dreamer \
    XDG_CACHE_HOME=/weights \
    JUPYTER_PATH=/home/dreamer/notebooks/jupyter \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER dreamer
WORKDIR /work
VOLUME /weights
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--no-browser", "--ServerApp.root_dir=/home/dreamer/notebooks"]
