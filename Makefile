.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test lint soak bench lock clean

VENV := .venv
BIN := $(VENV)/bin
export PYTHON

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/.dev  ## make .venv with irkit (editable) and the tools of its developers

$(VENV)/.python:
	@sh .setup/venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.python .requirements/build.txt .requirements/runtime.txt pyproject.toml .setup/install
	@sh .setup/install $(VENV) .requirements/runtime.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime .requirements/dev.txt
	@sh .setup/install $(VENV) .requirements/dev.txt
	@touch $@

lint: $(VENV)/.dev  ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

clean:  ## remove what make made
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache dist
