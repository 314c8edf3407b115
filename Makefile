# Each target sets up what it needs: Debian packages (as root), Caffe, the virtual environment .venv, the weights.
.PHONY: dream test bench lint clean setup
.DEFAULT_GOAL := dream

# Debian's own Python: Boost.Python is built for it.
PYTHON := /usr/bin/python3
VENV := .venv
READY := $(VENV)/.ready
RECIPE := $(shell find pycaffe -type f -not -path '*/__pycache__/*')

dream: setup
	@$(VENV)/bin/deepdream dream

test: setup
	@$(VENV)/bin/python -m pytest

bench: setup
	@$(VENV)/bin/python -c "import matplotlib, torch" 2>/dev/null || \
	  $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@$(VENV)/bin/python -m benchmarks

lint: setup
	@$(VENV)/bin/ruff check .

setup:
	@sh pycaffe/apt.sh
	@$(MAKE) --silent --no-print-directory $(READY)

$(READY): pyproject.toml $(RECIPE)
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@wheel=$$($(VENV)/bin/python pycaffe/wheel.py) && \
	  echo "Installing deepdream into $(VENV)" >&2 && \
	  $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps "$$wheel" && \
	  $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check "$$wheel" --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) build dist dream.png .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
