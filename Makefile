# Each target sets up what it needs: Debian packages (as root), Caffe, the virtual environment .venv, the weights.
.PHONY: dream test test-isa test-gpu test-upstream gpu-check fuzz bench lint docs notebooks notebooks-run playground browser wheel wheels wheels-test image lock conda-test distro-test has-python39 clean setup environment
.DEFAULT_GOAL := dream

PYTHON := /usr/bin/python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
# With PYCAFFE_CUDA=1, another Caffe is built, which replaces the first one in the same environment: for this machine's
# GPUs, except where it is to be handed on.
ifeq ($(filter wheel,$(MAKECMDGOALS)),)
export PYCAFFE_CUDA_ARCHITECTURES ?= native
endif
VARIANT := $(shell PYCAFFE_CUDA_ARCHITECTURES='$(PYCAFFE_CUDA_ARCHITECTURES)' $(PYTHON) pycaffe/variant.py 2>/dev/null)
READY := $(VENV)/.ready-$(shell echo '$(VARIANT)' | tr ';' '-')
RECIPE := $(shell find pycaffe -type f -not -path '*/__pycache__/*')
# The packages from the package index: one list for each part, with versions and hashes; make lock writes the lists.
LOCKS := locks/py$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
HASHED := --require-hashes --only-binary :all: --requirement
# $(call install,PART,OPTIONS): install from the part's list, or with OPTIONS if a newer Python does not have a list.
install = if [ -f $(LOCKS)/$(1).txt ]; then $(PIP) install --quiet $(HASHED) $(LOCKS)/$(1).txt; \
  else echo "No $(LOCKS)/$(1).txt: what pip installs now is held to no hash" >&2; $(PIP) install --quiet $(2); fi
# $(call part,PART,OPTIONS): install a part when it is first needed, and when its list has changed.
part = [ -f $(VENV)/.part-$(1) ] && [ ! $(LOCKS)/$(1).txt -nt $(VENV)/.part-$(1) ] || \
  { $(call install,$(1),$(2)) && touch $(VENV)/.part-$(1); }

dream: setup
	@$(VENV)/bin/deepdream dream

# TESTS="tests/network" runs only these.
TESTS :=
test: setup
	@$(VENV)/bin/python -m pytest $(TESTS)

# The tests as on other processors, as far as this one can imitate them: the vectors of our own layers and OpenBLAS's
# kernels determine how sums round, and so which of nearly equal features wins. "ISA:OpenBLAS's name of the kernels".
ISAS := avx2:Haswell avx2:Zen baseline:Nehalem
ISA_TESTS := $(addprefix tests/,test_blas.py test_dream.py test_guide.py test_label_images.py test_objectives.py \
  test_reference.py network/test_activations.py network/test_layers.py network/test_tiling.py \
  pycaffe/test_fast_layers.py recipes/test_recipe.py recipes/test_render.py)
test-isa: setup
	@for isa in $(ISAS); do echo "PYCAFFE_ISA=$${isa%:*} OPENBLAS_CORETYPE=$${isa#*:}"; \
	  PYCAFFE_ISA=$${isa%:*} OPENBLAS_CORETYPE=$${isa#*:} $(VENV)/bin/python -m pytest -q $(ISA_TESTS) || exit 1; done

# Thousands of damaged files, random parameters and kills, a soak test, coverage-guided inputs, and the tests that are
# too slow for every change.
fuzz: setup
	@$(call part,playground,--editable '.[playground]')
	@$(VENV)/bin/python -c "import atheris" 2>/dev/null || $(PIP) install --quiet $(HASHED) tests/fuzz/requirements.txt
	@$(VENV)/bin/python tests/fuzz
	@DEEPDREAM_SLOW=1 $(VENV)/bin/python -m pytest tests/fuzz

# The only part without a list of hashes: PyTorch's package has gigabytes for GPUs; users may install the CPU's instead.
bench: setup
	@$(VENV)/bin/python -c "import jax, matplotlib, onnx, onnxruntime, torch" 2>/dev/null || $(PIP) install --quiet --editable '.[bench]'
	@$(VENV)/bin/python -m benchmarks

# Check and measure this machine's GPU, within ten minutes: benchmarks/gpu.md. PYCAFFE_CUDA=1 make gpu-check
gpu-check: setup
	@$(VENV)/bin/python -m benchmarks.gpu

# What needs a GPU, on emulated ones (pycaffe/emulate): nothing but time is needed.
GPU_TESTS := tests/network/test_gpu.py tests/network/test_device.py tests/pycaffe/test_emulated.py \
  tests/cli/test_zoom.py::test_killed_ten_times_the_frames_are_the_same
test-gpu: setup
	@wheel=$$(PYCAFFE_CUDA=emulated $(VENV)/bin/python pycaffe/wheel.py) && \
	  $(PIP) install --quiet --no-deps --upgrade --target build/emulated "$$wheel"
	@PYTHONPATH=build/emulated PYCAFFE_EMULATED_MEMORY=805306368 $(VENV)/bin/python -m pytest $(GPU_TESTS)

# Upstream's own C++ tests on emulated GPUs; compiling them takes half an hour on 2 cores.
test-upstream: setup
	@sh tests/pycaffe/upstream_tests.sh

# Style, format, the import contract and types; .pre-commit-config.yaml runs the same checks.
lint: setup
	@$(call part,lint,--editable '.[lint]')
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/mypy

# The documentation as a site that needs no server: build/docs/index.html. A warning is an error.
docs: setup
	@$(call part,docs,--editable '.[docs]')
	@$(VENV)/bin/python -m sphinx -q -W --keep-going docs build/docs
	@echo $(CURDIR)/build/docs/index.html

# JupyterLab with the notebooks; notebooks-run runs them all and stores their outputs.
notebooks: setup
	@$(call part,notebooks,--editable '.[notebooks]')
	@$(VENV)/bin/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks

notebooks-run: setup
	@$(VENV)/bin/python notebooks/execute.py

# The playground in a browser, served only to this machine. Options (Voilà's and the server's own):
# make playground VOILA="--port=8080". They are listed by: .venv/bin/python -m deepdream.playground.server --help-all
VOILA :=
playground: setup
	@$(call part,playground,--editable '.[playground]')
	@$(VENV)/bin/deepdream layers >/dev/null
	@JUPYTER_PATH=$(CURDIR)/notebooks/jupyter $(VENV)/bin/python -m deepdream.playground.server \
	  notebooks/playground.ipynb --template=deepdream $(VOILA)

# The browser for the tests of the page: without it, make test skips them.
browser: setup
	@command -v chromium >/dev/null || sh pycaffe/apt.sh chromium
	@$(call part,browser,--editable '.[browser]')

# A redistributable Caffe wheel: dist/deepdream_pycaffe-*.whl can be installed without Debian packages.
wheel: setup
	@$(call part,wheel,--requirement locks/wheel.in)
	@$(VENV)/bin/python pycaffe/wheel.py --portable dist

# Wheels for other systems: x86-64 and arm64, every Python from 3.10 on that is here with its headers, compiled in a Debian
# 11 by docker, podman or buildah, or as root in the folder of one: make wheels WHEELS_OPTIONS="--root /srv/bullseye"
# And deepdream's own wheel, which is for all systems.
WHEELS_OPTIONS :=
wheels: setup
	@$(call part,wheel,--requirement locks/wheel.in)
	@$(PIP) wheel --quiet --no-deps $(if $(SETUP_LISTS),--no-build-isolation) --wheel-dir dist .
	@$(VENV)/bin/python pycaffe/wheels/build.py dist $(WHEELS_OPTIONS)

# The wheels in dist/, installed by pip in fresh systems that have only Python (as root): the same dream, bit for bit.
# Emulated, with qemu-user-static: make wheels-test PROCESSOR=aarch64 DISTROS=trixie
PROCESSOR := $(shell uname -m)
DISTROS := bookworm trixie forky
wheels-test: setup
	@sh tests/wheels.sh $(PROCESSOR) $(DISTROS)

# The image, built with docker, podman or buildah. IMAGE_OPTIONS: see Dockerfile, as in --build-arg CUDA=0
IMAGE := deepdream
IMAGE_OPTIONS :=
image:
	@if command -v docker >/dev/null && docker info >/dev/null 2>&1; then docker build -t $(IMAGE) $(IMAGE_OPTIONS) .; \
	elif command -v podman >/dev/null; then podman build -t $(IMAGE) $(IMAGE_OPTIONS) .; \
	elif command -v buildah >/dev/null; then buildah bud --isolation chroot -t $(IMAGE) $(IMAGE_OPTIONS) .; \
	else echo "make image needs docker, podman or buildah (as root: apt-get install buildah)" >&2; exit 1; fi

# Choose new versions of the packages from the package index, for make and the image.
lock: setup
	@$(call part,lock,--requirement locks/lock.in)
	@$(VENV)/bin/python locks/lock.py
	@PATH=$(VENV)/bin:$$PATH sh docker/lock.sh

# The tests on a stock Caffe: the packages of environment.yml, in a virtual environment of Python 3.9. The pip of that
# Python tries versions for many minutes; conda installs a newer one.
PYTHON39 = $(shell for python in python3.9 "$$HOME"/.pyenv/versions/3.9.*/bin/python3.9; do \
	  "$$python" -c "" 2>/dev/null && echo "$$python" && break; done)
has-python39:
	@test -n "$(PYTHON39)" || { echo "make conda-test needs a Python 3.9: make conda-test PYTHON39=PATH" >&2; exit 1; }
conda-test: has-python39 setup
	@$(PYTHON39) -m venv --clear build/conda
	@$(VENV)/bin/python tests/conda_requirements.py > build/conda/requirements.txt
	@build/conda/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@build/conda/bin/python -m pip install --quiet --disable-pip-version-check -r build/conda/requirements.txt '.[test]'
	@build/conda/bin/python -m pytest $(TESTS)

# make dream, and a part of the tests, in a fresh system of another Debian release (as root): make distro-test DISTRO=bullseye
DISTRO := trixie
distro-test:
	@sh tests/distro.sh $(DISTRO) $(if $(TESTS),"$(TESTS)")

# Python itself may be missing, so the targets that need it are run by a second make, afterwards.
setup:
	@if [ -z "$$PYCAFFE_WHEELS$(wildcard dist/*pycaffe*.whl)" ]; then sh pycaffe/apt.sh; \
	  else $(PYTHON) -c "import ensurepip, ssl" 2>/dev/null || sh pycaffe/apt.sh ca-certificates python3-venv; fi
	@$(MAKE) --silent --no-print-directory environment

environment: $(READY)

# Only the image has the libraries for GPUs. Once the lists are installed, our wheel needs nothing else from the index.
CUDA_LISTS := $(if $(filter cuda;%,$(VARIANT)),docker/cuda.txt $(if $(filter cuda;1;%,$(VARIANT)),docker/cudnn.txt))
SETUP_LISTS := $(wildcard $(LOCKS)/build.txt $(LOCKS)/setup.txt)
$(READY): pyproject.toml $(RECIPE) $(wildcard $(LOCKS)/pip.txt) $(SETUP_LISTS) $(CUDA_LISTS)
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(call install,pip,--upgrade pip)
	@wheel=$$($(VENV)/bin/python pycaffe/wheel.py --ready || { [ -z "$$PYCAFFE_WHEELS" ] && sh pycaffe/apt.sh >&2 && \
	  $(VENV)/bin/python pycaffe/wheel.py; }) && \
	  echo "Installing deepdream into $(VENV)" >&2 && \
	  $(if $(SETUP_LISTS),$(PIP) install --quiet $(addprefix $(HASHED) ,$(SETUP_LISTS) $(CUDA_LISTS)) &&) \
	  $(PIP) install --quiet --force-reinstall --no-deps "$$wheel" && \
	  $(PIP) install --quiet $(if $(SETUP_LISTS),--no-index --no-build-isolation) "$$wheel" --editable '.[test]'
	@rm -f $(VENV)/.ready* && touch $@

clean:
	rm -rf $(VENV) build dist dream.png .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
