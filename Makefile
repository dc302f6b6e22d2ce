# make setup   a virtual environment in .venv, from the locks        make test    lint, types, tests
# make run     the dashboard (ARGS=… for a command)                  make bench   benchmarks
# make demo    the dashboard on a simulated network                  make fuzz    the decoders, for minutes
# make lock    the locks, anew                       make soak    a collector under load, for 30 minutes
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run demo test lint format types compiled check docs pictures bench fuzz soak lock clean
MAKEFLAGS += --no-print-directory
# Compiled modules are kept, whatever the environment says: the tests begin hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
PYTEST_ARGS ?= -n 6 -q
# The first Python that is new enough; PYTHON=… names another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet --quiet
COMPILE := build/lock/bin/pip-compile --quiet --no-header --generate-hashes --strip-extras \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links

help:
	@sed -n 's/^# //p' Makefile | head -4

setup: $(VENV)/installed

# Made again when the locks change, the project's own entry when its metadata does.
$(VENV)/installed: $(VENV)/locked pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/locked: requirements-dev.lock
	@test -n "$(PYTHON)" || { echo "nftui needs Python 3.11 or newer: install it, or name it with make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || ./.ci/venv-package $(PYTHON)
	@echo "setting up $(VENV) (once; some 400 MB)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

run: setup
	@$(BIN)/nftui $(ARGS)

demo: setup
	@$(BIN)/nftui demo $(ARGS)

test: lint
	@$(MAKE) -j 2 types compiled
	@$(MAKE) check

lint: setup
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "not formatted: make format" >&2; exit 1; }

format: setup
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

types: setup
	@$(BIN)/mypy --no-error-summary

# The tests as modules: else each of the processes that run them would make its own of all.
compiled: setup
	@$(BIN)/python -m pytest --collect-only -qq >/dev/null 2>&1 || true  # what is wrong is said by `check`

check: setup
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

# Pages of the manual that are made from the program.
docs: setup
	@$(BIN)/python -m tests.structure.keys > docs/keys.new && mv docs/keys.new docs/keys.md

# Its pictures, of a simulated network: look at them before they are committed.
pictures: setup
	@$(BIN)/python -m tests.structure.pictures $(ARGS)

bench: setup
	@set -e; for file in $(sort $(wildcard tests/bench/bench_*.py)); do \
		name=$$(basename $$file .py); echo "== $$name"; $(BIN)/python -m tests.bench.$$name $(ARGS); done

# A few minutes over all protocols; ARGS="--protocol v9 --seconds 600 --seed 2" for others.
fuzz: setup
	@nice -n 10 $(BIN)/python -m tests.fuzz $(ARGS)

# ARGS="--seconds 60 --rate 50000" for less; it fails where a flow is missing, memory grows, or a question fails.
soak: setup
	@$(BIN)/python -m tests.bench.soak $(ARGS)

# Locks name versions and hashes, never where they came from.
lock:
	@$(PYTHON) -m venv --clear build/lock
	@build/lock/bin/python -m pip --disable-pip-version-check --quiet install pip-tools
	@$(COMPILE) $(ARGS) -o requirements.lock pyproject.toml
	@$(COMPILE) $(ARGS) --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml

clean:
	@rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
