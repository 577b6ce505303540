# `make run` trades a real sample on the simulated exchange; `make test` proves the rest. `make help` lists all.

PYTHON ?= python3
VENV   := .venv
BENCH  := .venv-bench
BIN    := $(VENV)/bin
PIP    := -m pip install -qq --disable-pip-version-check --require-hashes
TMPENV := .venv-lock
# Clients that nobody here wrote, and other Pythons, each in an environment of its own: what only tests need.
ASYNC  := .venv-ib_async
OTHER_PYTHONS := $(addprefix .venv-,$(filter-out $(shell $(PYTHON) -c "import sys; print(\"%d.%d\" % sys.version_info[:2])" 2>/dev/null),3.11 3.12 3.13 3.14))
PEERS  := $(addsuffix /.ready,$(ASYNC) .venv-ibapi .venv-nautilus $(OTHER_PYTHONS))
LOCKS  := requirements requirements-dev requirements-ib_async benchmarks/requirements \
    $(addprefix tests/wire/requirements-,ibapi nautilus python)
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

# Much of a test is waiting: one more than there are processors keeps these busy.
PYTEST  = -m pytest -q --dist worksteal -n $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
SHORTER := T1-1 or T4-1 or T5-1 or T6-1 or T14-1

.DEFAULT_GOAL := help
.PHONY: pictures run test check prove soak ib_async ibkr-test monitor check-dashboards bench bench-wire bench-metrics lock clean help

run: $(VENV)/.runtime .env  ## set up, then trade five recorded days on the simulated exchange
	@$(BIN)/python live_trader.py $(RUN)

test: $(VENV)/.dev .env  ## set up, then check, then every test
	@$(MAKE) --no-print-directory --silent -j 3 check $(PEERS)
	@$(BIN)/python $(PYTEST)
	@if test -e $(ASYNC)/.ready; then \
	    echo "The TWS backend once more, over ib_async:"; \
	    $(ASYNC)/bin/python $(PYTEST) -k "not (simulated or test_trials) or nothing and ($(SHORTER))" \
	        tests/conformance tests/brokers/tws tests/faults/test_trials.py; \
	else echo "skipped: the TWS backend over ib_async, $(ASYNC) could not be made"; fi

check: $(VENV)/.dev  ## lint, format, types, import contracts
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy src tests ops benchmarks $(wildcard *.py)
	@$(BIN)/lint-imports --no-logo

prove: $(VENV)/.dev  ## inject faults for MINUTES=5 (WORKERS=n at once), and say what that proves (docs/reliability.md)
	@$(BIN)/python -m tests.faults.prove --minutes $(or $(MINUTES),5) $(if $(WORKERS),--workers $(WORKERS))

soak: $(VENV)/.dev  ## trade for HOURS=8 with the connection cut now and then, and say what grows
	@$(BIN)/python -m tests.faults.soak --hours $(or $(HOURS),8)

ib_async: $(ASYNC)/.ready  ## set up .venv-ib_async: a session's Python with ib_async in ib_insync's place

ibkr-test: $(VENV)/.runtime .env  ## is TWS there, and if not, what to change; orders nothing
	@$(BIN)/python test_ibkr_connection.py

monitor:  ## is a session watched by Prometheus, and if not, what to change; starts Prometheus if it is installed
	@$(PYTHON) ops/monitor.py --panels

check-dashboards:  ## the dashboards against Grafana's own types; needs npm
	@cd ops/grafana && npm ci --silent --no-audit --no-fund && npm run --silent check

bench: $(VENV)/.dev $(BENCH)/.ready  ## the quiet bar, then 200,000 bars here and in backtrader, in turn
	@$(BIN)/python benchmarks/advance.py
	@$(BIN)/python benchmarks/replay.py

bench-wire: $(VENV)/.dev  ## TWS backend and paper gateway beside ib_insync, an echo server, asyncio
	@$(BIN)/python -W ignore -m benchmarks.wire

bench-metrics: $(VENV)/.dev  ## what counting and a scrape cost a session
	@$(BIN)/python benchmarks/metrics.py

lock:  ## resolve the *.in files anew into locks with hashes
	$(require_python)
	@echo "Resolving the locks with uv ..."
	@test -x $(TMPENV)/bin/uv || { $(PYTHON) -m venv $(TMPENV) && $(TMPENV)/bin/python -m pip install -qq uv; }
	@for name in $(LOCKS); do \
	    $(TMPENV)/bin/uv --no-config pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $$name.in -o $$name.txt || exit 1; \
	done

pictures: $(VENV)/.dev  ## draw the pictures of docs/ anew, with headless Chromium
	@$(BIN)/python -m tests.console.draw_pictures

clean:  ## remove the environments and every cache; .env stays
	@rm -rf $(VENV) $(BENCH) $(TMPENV) $(dir $(PEERS)) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache benchmarks/out
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z_-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

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

# Without them (offline, or no such Python) their tests are skipped: one line here, one line there, tried anew next time.
PYTHON_OF = for found in "$$(command -v python$(1))" $(wildcard $(HOME)/.pyenv/versions/$(1).*/bin/python$(1)); do \
    "$$found" -c "" 2>/dev/null && break; found=; done
define peer
	@$(if $(3),$(call PYTHON_OF,$(3)),found=$(PYTHON)); \
	test -n "$$found" || { echo "skipped: there is no python$(3)"; exit 0; }; \
	echo "Setting up $(1) from $(2) ..."; \
	$$found -m venv $(1) && $(1)/bin/python $(PIP) -r $(2) && touch $(1)/.ready \
	    || { rm -rf $(1); echo "skipped: $(1) could not be made"; }
endef

$(ASYNC)/.ready: requirements-ib_async.txt
	$(call peer,$(ASYNC),$<)

.venv-ibapi/.ready .venv-nautilus/.ready: .venv-%/.ready: tests/wire/requirements-%.txt
	$(call peer,.venv-$*,$<)

.venv-3.%/.ready: tests/wire/requirements-python.txt
	$(call peer,.venv-3.$*,$<,3.$*)

.env:
	@install -m 0600 .env.example .env
