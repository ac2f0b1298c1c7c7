# Everything runs in .venv, made and refreshed from requirements.lock by every target.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-strip-extras --group dev
# As for commands: the environment first, then .env, then the checkout.
export DAGSTER_HOME ?= $(or $(shell sed -n "s/^ *DAGSTER_HOME=//p" .env 2> /dev/null | tr -d "\"'" | tail -1),$(CURDIR)/dagster_home)

.PHONY: run test coverage demo dashboard settings bench chaos lint dev lock clean

# The main job on the sample, against the simulator with its clock sped up.
run: .venv/installed
	MOCK_MODE=true MOCK_TIME_SCALE=15 POLL_INTERVAL_SECONDS=0.5 BLOCKED_CONFIRM_SECONDS=1 \
	PUBLISH_INTERVAL_SECONDS=0.5 WAVE_SIZE=5 $(BIN)/remediate run sample_data/findings.csv

# Two at a time, each file by one: what starts the real thing mostly waits for it.
test: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile $(TESTS)

# What the tests pass through, of lines and branches; below the Dagster line 90 % are wanted. Without those that start
# processes, in which nothing is measured.
coverage: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/end_to_end --cov --cov-branch --cov-report=term:skip-covered

# Figures as ratios to a floor or a peer of the same run; BENCH="devin" for one of them.
bench: .venv/installed
	$(BIN)/python -m tests.benchmarks $(BENCH)

# A wave whose workers are killed and frozen, over both wires, with faults and without; prints what it did.
chaos: .venv/installed
	$(BIN)/python -m tests.end_to_end.chaos 200

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy remediation_assets
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows examples/ci/*.yml
	$(BIN)/python -m tests.documents.links
	cp requirements.lock .venv/requirements.check
	$(COMPILE) --output-file .venv/requirements.check pyproject.toml
	diff requirements.lock .venv/requirements.check || { echo "requirements.lock is not current: make lock"; exit 1; }

dev: .venv/installed
	$(BIN)/dagster dev -w workspace.yaml

dashboard: .venv/installed
	$(BIN)/remediate dashboard

# Fit for a recording: retries, a gate that fails, the wave run again, and what to open at the end.
demo: .venv/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh

# The README's table of settings, from Settings.
settings: .venv/installed
	$(BIN)/python -m tests.documents.settings_table

# Pin every version anew within the ranges of pyproject.toml.
lock: .venv/installed
	$(COMPILE) --upgrade --output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed; set PYTHON=") if sys.version_info < (3, 11) else 0'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
