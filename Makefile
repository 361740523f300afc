.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test lint soak bench wheels lock clean

VENV := .venv
BIN := $(VENV)/bin
# Another interpreter than the first python3 that fits: make PYTHON=/path/to/python3.12
export PYTHON
# Without compiled files every command that a test starts would compile pandas and all the rest anew, for seconds.
unexport PYTHONDONTWRITEBYTECODE

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.runtime  ## a recorded incident, from its evidence to the page of its postmortem
	@sh .setup/demo

setup: $(VENV)/.dev  ## make .venv with irkit (editable) and its developers' tools

test: lint .setup/services  ## lint, then the whole suite against a real Docker Engine, Redis and Chromium
	@sh .setup/services
	@sh .setup/newer-python $(VENV)/python3.14
	@$(BIN)/python hatch_build.py >/dev/null
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile $(PYTEST_ARGS)

lint: $(VENV)/.dev  ## ruff with all rules, mypy strict
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy

soak: $(VENV)/.dev  ## minutes of steady work in search of growth
	@sh .setup/services
	@sh .setup/newer-python $(VENV)/python3.14
	@$(BIN)/python hatch_build.py >/dev/null
	$(BIN)/python -m pytest -m soak $(PYTEST_ARGS)

bench: $(VENV)/.dev  ## ratios of times, each pair taken in one run
	@sh .setup/services
	@sh .setup/newer-python $(VENV)/python3.14
	@$(BIN)/python hatch_build.py >/dev/null
	$(BIN)/python -m pytest -m bench --capture=no $(PYTEST_ARGS)

wheels: $(VENV)/.dev  ## dist/: the source archive, a wheel for each Python found, and one without compiled parts
	@sh .setup/wheels $(VENV)

# Pins for Python 3.11 to 3.13 on any platform, wheels only, naming no index. Held pins stay unless they must move;
# `make lock UPGRADE=--upgrade` takes the newest of everything.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --only-binary :all: --generate-hashes \
	--no-header --no-emit-index-url $(UPGRADE) pyproject.toml
lock: $(VENV)/.dev  ## renew the pins of .requirements/ from pyproject.toml
	$(subst pyproject.toml,,$(COMPILE)) --group build -o .requirements/build.txt
	$(COMPILE) -o .requirements/runtime.txt
	$(COMPILE) --group build --group dev -c .requirements/build.txt -c .requirements/runtime.txt -o .requirements/dev.txt

clean:  ## remove what make made
	rm -rf $(VENV) .demo .hypothesis .mypy_cache .pytest_cache .ruff_cache dist

$(VENV)/.python:
	@sh .setup/venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.python .setup/install .requirements/build.txt .requirements/runtime.txt pyproject.toml
	@sh .setup/install $(VENV) .requirements/runtime.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime .requirements/dev.txt
	@sh .setup/install $(VENV) .requirements/dev.txt
	@touch $@
