# Every target works on a fresh machine with Python and make: the environment is made on the way.
PYTHON ?= python3
PYTHON_OLDEST ?= python3.11
VENV ?= .venv
VENV_OLDEST ?= .venv-oldest
WORKERS ?= 2

BIN = $(VENV)/bin
DEV = $(VENV)/.dev
DOCS = $(VENV)/.docs
BENCH = $(VENV)/.bench
OLDEST = $(VENV_OLDEST)/.dev
PIP_INSTALL = -m pip install --disable-pip-version-check

# Old enough syntax for Python 2, so that the message and not a SyntaxError is shown.
CHECK_PYTHON = import sys; sys.version_info < (3, 11) and sys.exit( \
	"skcca needs Python 3.11 or newer, and this is " + sys.version.split()[0] + \
	". Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)")

.PHONY: help demo bench bench-speed test test-slow test-oldest lint format types imports check docs clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# One thread: matrices this small gain nothing from a second, and on busy cores the thread pools of
# torch and of BLAS wait for one another (100 s became more than 8 minutes).
demo: export OMP_NUM_THREADS ?= 1
demo: export OPENBLAS_NUM_THREADS ?= 1
demo: $(DEV)  ## the main job: audio of any length finds music videos
	$(BIN)/python examples/music_video_retrieval.py

# The data sets lie in the folder that SKCCA_DATA names, or in ~/skcca_data.
bench: $(BENCH)  ## measure quality on real data and rewrite the tables of the README
	$(BIN)/python -m benchmarks quality

# On a machine that does nothing else; the memory maps take 4.3 GiB in the temporary folder.
bench-speed: $(BENCH)  ## measure speed and memory beside other libraries
	$(BIN)/python -m benchmarks speed

test: $(DEV)  ## the tests, without the slow ones
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not slow"

test-slow: $(DEV)  ## the slow tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m slow

# Libraries of different age warn about one another: here warnings are no errors.
test-oldest: $(OLDEST)  ## the tests on the oldest versions that are supported
	$(VENV_OLDEST)/bin/python -m pytest -n $(WORKERS) --dist loadgroup -m "not slow" -o filterwarnings=default

lint: $(DEV)  ## style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(DEV)  ## mend what lint can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(DEV)  ## static types
	$(BIN)/mypy

imports: $(DEV)  ## the layers: no import points up
	$(BIN)/lint-imports

check: lint types imports test  ## all that continuous integration runs

docs: $(DOCS)  ## the web site, into docs/_build/html; runs the examples
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

clean:  ## remove environments and everything built
	rm -rf $(VENV) $(VENV_OLDEST) build dist docs/_build docs/generated docs/auto_examples

$(BIN)/python:
	@$(PYTHON) -c '$(CHECK_PYTHON)'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }  # half an environment would pass for one

# Stamps: a second run installs nothing until the requirements change.
$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python $(PIP_INSTALL) -c constraints.txt -e ".[dev]"
	@touch $@

$(BENCH): pyproject.toml constraints.txt | $(DEV)
	$(BIN)/python $(PIP_INSTALL) -c constraints.txt -e ".[bench,dev]"
	@touch $@

$(DOCS): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python $(PIP_INSTALL) -c constraints.txt -e ".[docs]"
	@touch $@

$(OLDEST): pyproject.toml constraints-oldest.txt
	$(PYTHON_OLDEST) -m venv $(VENV_OLDEST)
	$(VENV_OLDEST)/bin/python $(PIP_INSTALL) -c constraints-oldest.txt -e ".[dev]"
	@touch $@
