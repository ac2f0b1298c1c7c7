# Everything runs in .venv, made and refreshed from requirements.lock by every target.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
export DAGSTER_HOME ?= $(CURDIR)/dagster_home

.PHONY: dashboard run test bench chaos lint dev lock clean

# The main job on the sample, against the simulator with its clock sped up.
run: .venv/installed
	MOCK_MODE=true MOCK_TIME_SCALE=15 POLL_INTERVAL_SECONDS=0.5 BLOCKED_CONFIRM_SECONDS=1 \
	PUBLISH_INTERVAL_SECONDS=0.5 WAVE_SIZE=5 $(BIN)/remediate run sample_data/findings.csv

# Two at a time, each file by one: what starts the real thing mostly waits for it.
test: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Figures as ratios to a floor or a peer of the same run; BENCH="devin" for one of them.
bench: .venv/installed
	$(BIN)/python -m tests.benchmarks $(BENCH)

# A wave whose carriers are killed and frozen, over both wires, with faults and without; prints what it did.
chaos: .venv/installed
	$(BIN)/python -m tests.end_to_end.chaos 200

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy remediation_assets

dev: .venv/installed
	$(BIN)/dagster dev -w workspace.yaml

dashboard: .venv/installed
	$(BIN)/remediate dashboard

# Pin every version anew within the ranges of pyproject.toml.
lock: .venv/installed
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--no-emit-index-url --no-strip-extras --all-extras --output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed; set PYTHON=") if sys.version_info < (3, 11) else 0'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
