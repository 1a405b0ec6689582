PYTHON ?= python3
# A user with an NVIDIA GPU takes the CUDA build: make setup TORCH="torch"
TORCH ?= torch==2.13.0
BIN := .venv/bin
SETUP := .venv/.ready
MODEL ?= qwen2.5-coder-0.5b
# What a platform lacks shall fail here, not at the start of its users (one cache each: they share none)
PLATFORMS := linux darwin win32
# Lines typed of each trace in `make bench`, about a quarter of an hour; 0: all of them, an hour
LINES ?= 3
# The same model for ours and the peer, whatever "auto" would take
REPLAY = --server "$(BIN)/completer lsp --in-process" --options '{"model": "$(MODEL)"}' --model "$$($(BIN)/completer models path $(MODEL))"
UNLIMITED = --variant 'unlimited={"model": "$(MODEL)", "budget_ms": 5000}'

# How long `make soak` runs
MINUTES ?= 10

.PHONY: setup model demo test test-fast test-editors check format soak bench bench-gate binary test-binary vsix clean

setup: $(SETUP)

$(SETUP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade "$(TORCH)"
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@

demo: setup  ## complete snippets in four languages with the real model
	$(BIN)/completer demo

test-fast: setup  ## the unit tests that need no model, in half a minute
	$(BIN)/pytest --numprocesses auto -m "not model and not editor and not slow" --hypothesis-profile fast tests/unit

test: setup  ## all tests, the real model included
	$(BIN)/pytest

test-editors: setup model  ## the real editors, headless, with the real model; they are fetched into the cache folder
	$(BIN)/python -m tests.editors.install
	$(BIN)/pytest -m editor tests/editors

check: setup  ## format, lint, types for each platform, tests
	$(BIN)/ruff format --check completer tests bench
	$(BIN)/ruff check completer tests bench
	for platform in $(PLATFORMS); do $(BIN)/mypy --platform $$platform --cache-dir .mypy_cache/$$platform || exit 1; done
	$(MAKE) test

format: setup
	$(BIN)/ruff format completer tests bench
	$(BIN)/ruff check --fix completer tests bench

soak: setup  ## several editors type while the worker is killed every minute, without a model: make soak MINUTES=3
	$(BIN)/python -m bench endurance --minutes $(MINUTES)

bench: setup model  ## engine table, then a replay against the peers: JSON, HTML and PNG under out/bench
	$(BIN)/python -m bench engine
	$(BIN)/python -m bench peers --closed --lines $(LINES) $(REPLAY) $(UNLIMITED) --out out/bench/closed
	$(BIN)/python -m bench peers --lines $(LINES) $(REPLAY) --out out/bench/open

bench-gate: setup model  ## short: fails when a ratio falls below its recorded floor
	$(BIN)/python -m bench gate $(REPLAY)

binary: setup  ## the standalone binary, with the CPU engines and slim: dist/completer*, sizes and start-up times
	packaging/build.sh
	packaging/build.sh --slim
	$(BIN)/python -m bench startup --server "dist/completer/completer lsp --in-process" --folder dist/completer
	$(BIN)/python -m bench startup --server "dist/completer-slim/completer lsp --in-process" --folder dist/completer-slim

test-binary: setup model  ## the binary, from an empty environment and another folder, against the package's own test
	test -x dist/completer/completer || $(MAKE) binary
	$(BIN)/pytest tests/e2e/test_real_model.py tests/e2e/test_binary.py --server-command dist/completer/completer
	$(BIN)/pytest tests/e2e/test_binary.py --server-command dist/completer-slim/completer

vsix: setup  ## the VS Code extension with the server inside: editors/vscode/completer.vsix
	rm -rf editors/vscode/server
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir editors/vscode/server .
	cd editors/vscode && PATH="$(CURDIR)/$(BIN):$$PATH" && npm ci --ignore-scripts --no-audit --no-fund && npm run package

model: setup
	$(BIN)/completer models pull $(MODEL)

clean:
	rm -rf .venv build dist out .pytest_cache .mypy_cache .ruff_cache
