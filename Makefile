# All targets except `lock` need only Python 3.11 to 3.13. The first target that needs the environment creates it.
.DEFAULT_GOAL := help
.PHONY: help venv search test test-all lint docs coverage embeddings bench lock

SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(SUITABLE)' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# On a terminal, pip shows its progress; otherwise each stage prints one line.
PIP := $(BIN)/python -m pip --disable-pip-version-check $(if $(MAKE_TERMOUT),,--quiet)

# Two processes, each with whole files, which share their fixtures; in the order of tests/conftest.py.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/'

venv: $(VENV)/.installed  ## create .venv from the lock file

search: $(VENV)/.installed  ## search on the demo data, then show the leaderboard
	$(BIN)/python -m search.run --family features_mlp
	$(BIN)/python -m results.leaderboard

test: $(VENV)/.installed-dev  ## run the fast tests, in less than eight minutes
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow"

test-all: $(VENV)/.installed-dev  ## run all tests
	$(BIN)/python -m pytest $(PARALLEL)

lint: $(VENV)/.installed-dev  ## ruff, import-linter and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

embeddings: $(VENV)/.installed  ## install the weights of the music encoder MusiCNN
	$(PIP) install --no-deps --require-hashes --requirement requirements-embeddings.lock

docs: $(VENV)/.installed-dev  ## build the documentation in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

coverage: $(VENV)/.installed-dev  ## run all tests, write the coverage report to htmlcov/
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered --cov-report=html

bench: $(VENV)/.installed-dev  ## run the short benchmarks
	$(BIN)/python -m benchmarks.folds
	$(BIN)/python -m benchmarks.leaderboard
	$(BIN)/python -m benchmarks.cache_read
	$(BIN)/python -m benchmarks.preprocess
	$(BIN)/python -m benchmarks.overhead

COMPILE := uv pip compile --universal --fork-strategy fewest --python-version 3.11 --no-header --no-annotate --upgrade
lock:  ## update the lock files (needs uv)
	$(COMPILE) --extra dev pyproject.toml --output-file requirements-dev.lock
	$(COMPILE) --constraints requirements-dev.lock --extra search --extra onnx pyproject.toml --output-file requirements.lock
	$(COMPILE) --constraints requirements-dev.lock --extra serve pyproject.toml --output-file requirements-predict.lock
	$(COMPILE) --constraints requirements-dev.lock --extra bench pyproject.toml --output-file requirements-bench.lock

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 with venv found; specify one: make PYTHON=/path/to/python"; exit 2; }
	@echo "Creating $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing the libraries of requirements.lock, which takes some minutes ..."
	@$(PIP) install --requirement requirements.lock
	@echo "Installing the project ..."
	@$(PIP) install --no-deps --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "Installing the libraries of requirements-dev.lock ..."
	@$(PIP) install --requirement requirements-dev.lock
	@touch $@
