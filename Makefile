# Everything runs in .venv, made and refreshed from requirements.lock by every target.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-strip-extras --group dev
# As for commands: the environment first, then .env, then the checkout.
export DAGSTER_HOME ?= $(or $(shell sed -n "s/^ *DAGSTER_HOME=//p" .env 2> /dev/null | tr -d "\"'" | tail -1),$(CURDIR)/dagster_home)

.DEFAULT_GOAL := help
.PHONY: help run demo dashboard dev check fmt lint unit test coverage bench chaos settings lock lock-check clean

help: ## Show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s  %s\n", $$1, $$2 }' Makefile

# The simulator has its clock sped up.
run: .venv/installed ## Run the main job on the sample, against the simulator
	MOCK_MODE=true MOCK_TIME_SCALE=15 POLL_INTERVAL_SECONDS=0.5 BLOCKED_CONFIRM_SECONDS=1 \
	PUBLISH_INTERVAL_SECONDS=0.5 WAVE_SIZE=5 $(BIN)/remediate run sample_data/findings.csv

# Fit for a recording.
demo: .venv/installed ## Show retries, a gate that fails, the wave run again, and what to open at the end
	PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh

dashboard: .venv/installed ## Serve the dashboard at http://127.0.0.1:3001
	$(BIN)/remediate dashboard

dev: .venv/installed ## Start Dagster with its UI at http://127.0.0.1:3000
	$(BIN)/dagster dev -w workspace.yaml

check: lint unit ## What to run before a commit: format, lint, types, imports, unit tests

fmt: .venv/installed ## Format the code and fix what ruff can fix
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

lint: .venv/installed ## Check format, lint, types, imports, examples and links
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy remediation_assets tests
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows examples/ci/*.yml
	$(BIN)/python -m tests.documents.links

unit: .venv/installed ## Run the tests that start no server, process or browser
	$(BIN)/python -m pytest -n 2 -m unit

# Each file by one worker, in the order of collection: what starts the real thing comes first and mostly waits for it, so
# three workers keep two cores busy. By itself xdist takes the files of the fewest tests last, and these are the longest.
test: .venv/installed ## Run all tests; TESTS=tests/cli for some
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(TESTS)

# Without the tests that start processes, in which nothing is measured.
coverage: .venv/installed ## Measure which lines and branches tests reach; below the Dagster line 90 % are wanted
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/end_to_end --cov --cov-branch --cov-report=term:skip-covered

# As ratios to a floor or a peer of the same run.
bench: .venv/installed ## Measure speed; BENCH=devin for one benchmark
	$(BIN)/python -m tests.benchmarks $(BENCH)

# Over both wires, with faults and without.
chaos: .venv/installed ## Kill and freeze what runs a wave for ten minutes, and print what it did
	$(BIN)/python -m tests.end_to_end.chaos 200

settings: .venv/installed ## Write the README's table of settings, and the schema of the state file, from the code
	$(BIN)/python -m tests.documents.settings_table
	$(BIN)/python -m tests.documents.state_schema

lock: .venv/installed ## Pin every version again, within the ranges of pyproject.toml
	$(COMPILE) --upgrade --output-file requirements.lock pyproject.toml

# Asks the package index, so it is not part of lint.
lock-check: .venv/installed ## Check that requirements.lock fits pyproject.toml
	cp requirements.lock .venv/requirements.check
	$(COMPILE) --output-file .venv/requirements.check pyproject.toml
	diff requirements.lock .venv/requirements.check || { echo "requirements.lock is not current: make lock"; exit 1; }

clean: ## Remove .venv
	rm -rf .venv

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed; set PYTHON=") if sys.version_info < (3, 11) else 0'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
