PYTHON ?= python3
# A user with an NVIDIA GPU takes the CUDA build: make setup TORCH="torch"
TORCH ?= torch==2.13.0
BIN := .venv/bin
SETUP := .venv/.ready

.PHONY: setup demo test check format bench bench-gate clean

setup: $(SETUP)

$(SETUP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade "$(TORCH)"
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@

demo: setup  ## complete snippets in four languages with the real model
	$(BIN)/completer demo

test: setup  ## all tests, the real model included
	$(BIN)/pytest

check: setup  ## format, lint, types, tests
	$(BIN)/ruff format --check completer tests bench
	$(BIN)/ruff check completer tests bench
	$(BIN)/mypy
	$(BIN)/pytest

format: setup
	$(BIN)/ruff format completer tests bench
	$(BIN)/ruff check --fix completer tests bench

bench: setup  ## engine table, replay against the peers, report
	$(BIN)/python -m bench.engine
	$(BIN)/python -m bench peers

bench-gate: setup  ## short: fails when a ratio falls below its recorded floor
	$(BIN)/python -m bench gate

clean:
	rm -rf .venv build dist out .pytest_cache .mypy_cache .ruff_cache
