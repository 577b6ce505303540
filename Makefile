# `make run` trades a real sample on the simulated exchange; `make test` proves the rest. `make help` lists all.

PYTHON ?= python3
VENV   := .venv
BENCH  := .venv-bench
BIN    := $(VENV)/bin
PIP    := -m pip install -qq --disable-pip-version-check --require-hashes
TMPENV := .venv-lock
# Asked only when an environment is to be made; nothing when all is well, else one line that says what to do.
require_python = $(if $(PROBLEM),$(error $(PROBLEM)))
PROBLEM = $(shell \
    command -v $(PYTHON) >/dev/null 2>&1 \
        || { echo "$(PYTHON) is missing: sudo apt install python3 python3-venv"; exit; }; \
    $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
        || { echo "$(PYTHON) is older than 3.11: install a newer one, then make PYTHON=python3.11"; exit; }; \
    $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
        || echo "$(PYTHON) cannot make environments: sudo apt install python3-venv")
RUN    := --backend simulated --replay data/sample --symbols MSFT,AAPL --strategy sma --speed max

.DEFAULT_GOAL := help
.PHONY: run test check ibkr-test bench lock clean help

run: $(VENV)/.runtime .env  ## set up, then trade five recorded days on the simulated exchange
	@$(BIN)/python live_trader.py $(RUN)

test: $(VENV)/.dev .env  ## set up, then check, then every test
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest -q -n 2

check: $(VENV)/.dev  ## lint, format, types, import contracts
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy src tests $(wildcard *.py)
	@$(BIN)/lint-imports --no-logo

ibkr-test: $(VENV)/.runtime .env  ## is TWS there, and if not, what to change; orders nothing
	@$(BIN)/python test_ibkr_connection.py

bench: $(VENV)/.dev $(BENCH)/.ready  ## replay 200,000 bars here and in backtrader, in turn
	@$(BIN)/python benchmarks/replay.py

lock:  ## resolve the *.in files anew into locks with hashes
	$(require_python)
	@echo "Resolving the locks with uv ..."
	@test -x $(TMPENV)/bin/uv || { $(PYTHON) -m venv $(TMPENV) && $(TMPENV)/bin/python -m pip install -qq uv; }
	@for name in requirements requirements-dev benchmarks/requirements; do \
	    $(TMPENV)/bin/uv --no-config pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $$name.in -o $$name.txt || exit 1; \
	done

clean:  ## remove the environments and every cache; .env stays
	@rm -rf $(VENV) $(BENCH) $(TMPENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache benchmarks/out
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

# A stamp for each lock. The larger set holds the smaller one, so that `make run` after `make test` is instant too.
$(VENV)/.runtime: requirements.txt
	$(require_python)
	@echo "Setting up $(VENV) from requirements.txt: once, about half a minute ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP) -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements.txt
	$(require_python)
	@echo "Setting up $(VENV) from requirements-dev.txt: once, about half a minute ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP) -r requirements-dev.txt
	@touch $(VENV)/.runtime $@

$(BENCH)/.ready: benchmarks/requirements.txt
	$(require_python)
	@echo "Setting up $(BENCH) for backtrader ..."
	@$(PYTHON) -m venv $(BENCH)
	@$(BENCH)/bin/python $(PIP) -r benchmarks/requirements.txt
	@touch $@

.env:
	@install -m 0600 .env.example .env
