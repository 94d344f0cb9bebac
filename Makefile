# Two commands matter: `make demo` and `make test`. Each installs what it needs, from uv.lock, into .venv.
# Choose another interpreter with: make PYTHON=/usr/bin/python3.12 test

PYTHON ?= python3
export PYTHON
# Where it is set, every process compiles all its libraries again: 3 s of computing at each of some 150 starts.
unexport PYTHONDONTWRITEBYTECODE
REPORTS ?= examples/university.json
PYTEST_ARGS ?=
# Two for each core of a small machine: half of the time tests wait for real processes.
WORKERS ?= 4
TYPED = crypto demo server client_sdk

.DEFAULT_GOAL := help
.PHONY: help demo demo-quick test lint format vectors tables bench bench-http wheel coverage lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- environment: stamps, so that a second run needs neither network nor time -------------------------

.venv/.runtime: pyproject.toml uv.lock tools/setup.sh tools/uv.txt
	@tools/setup.sh runtime
	@touch $@

.venv/.dev: pyproject.toml uv.lock tools/setup.sh tools/uv.txt
	@tools/setup.sh dev
	@touch $@ .venv/.runtime

# --- what people run ----------------------------------------------------------------------------------

demo: .venv/.runtime ## the sample reports over HTTP, a process and a database for each party (REPORTS=FILE for yours)
	@.venv/bin/notalone demo --live --reports "$(REPORTS)"
	@printf '\n  The same in one process, in ten seconds, on a mock clock: make demo-quick\n'

demo-quick: .venv/.runtime ## the same in one process, on a mock clock: no network, no databases
	@.venv/bin/notalone demo --reports "$(REPORTS)"

test: .venv/.dev ## every test except the benchmarks (PYTEST_ARGS="-k name")
	@.venv/bin/python -m pytest tests --ignore=tests/bench -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: .venv/.dev ## ruff, formatting, types, import contracts
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy --strict $(TYPED)
	.venv/bin/lint-imports

format: .venv/.dev ## let ruff write the formatting and the safe fixes
	.venv/bin/ruff check --fix-only .
	.venv/bin/ruff format .

vectors: .venv/.dev ## regenerate specs/vectors; fails if that changes a byte
	@tools/vectors.sh

tables: .venv/.dev ## rewrite what the pages take from tests and code: requirements, diagram of phases, OpenAPI
	.venv/bin/python tools/requirements.py
	.venv/bin/python tools/diagrams.py
	.venv/bin/python tools/openapi.py

bench: .venv/.dev ## count and time scalar multiplications per step and party
	@.venv/bin/python tests/bench/run.py

bench-http: .venv/.dev ## filings over HTTP with 0, 1,000 and 100,000 stored entries; both databases (BENCH_ARGS=--quick)
	@.venv/bin/python tests/bench/over_http.py $(BENCH_ARGS)

wheel: .venv/.dev ## build the wheel, install it in a clean environment, check what it brings
	@tools/wheel.sh

coverage: .venv/.dev ## the tests again, with branch coverage
	.venv/bin/coverage run -m pytest tests --ignore=tests/bench -q
	.venv/bin/coverage report

lock: .venv/.dev ## renew uv.lock after a change of dependencies
	.tools/bin/uv lock

clean: ## remove everything that make made
	rm -rf .venv .tools dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
