# What a person runs here. `make` alone lists it. Everything goes into .venv; nothing is installed outside of it but the
# servers that the test suites talk to, and those as root on Debian only.
PYTHON ?= python3
PORT ?= 8000
DATA ?= .demo
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-input
PYTEST := $(BIN)/pytest -n 2 --dist worksteal

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-long lint bench bench-peers kill-test kill-test-events schemas requirements upgrade hooks clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16

demo: $(VENV)/.demo ## archive this machine's own metrics and a simulated plant, and show the page
	@scripts/demo $(DATA) $(PORT)

test: lint $(VENV)/.servers ## lint, then every suite that this machine can run; names those that it cannot
	$(PYTEST) $(if $(CI),--hypothesis-profile=ci) $(ARGS)

test-long: $(VENV)/.servers ## every suite, property tests with many more examples
	$(PYTEST) --hypothesis-profile=long --timeout=3600 $(ARGS)

lint: $(VENV)/.dev ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## what it does beside its baselines, one table
	$(BIN)/python -m bench $(ARGS)

bench-peers: $(VENV)/.bench ## the same data through this archive and its peers, one table
	@scripts/bench-peers
	$(BIN)/python -m bench.peers $(ARGS)

kill-test: $(VENV)/.dev ## SIGKILL at every seam, hundreds of rounds: nothing lost, nothing doubled
	$(BIN)/python scripts/kill_test.py $(ARGS)

kill-test-events: $(VENV)/.servers ## two, then three event workers and Kafka killed in the midst of 1 million samples
	$(BIN)/python scripts/event_kill_test.py $(ARGS)

schemas: $(VENV)/.dev ## regenerate the configuration's JSON Schema and reference page, and the OpenAPI document
	$(BIN)/python scripts/schemas.py

requirements: $(VENV)/.dev ## regenerate the pins after a change of pyproject.toml
	scripts/requirements

upgrade: $(VENV)/.dev ## regenerate the pins with the newest versions
	scripts/requirements --upgrade

hooks: $(VENV)/.dev ## run the lint on every commit
	$(BIN)/pre-commit install

clean: ## remove what the targets made, the demo's data included
	rm -rf $(VENV) $(DATA) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp per set of pins; the larger sets contain the smaller ones in the same versions.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: requirements/demo.txt pyproject.toml | $(BIN)/python
	$(PIP) --require-hashes --requirement $<
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	$(PIP) --require-hashes --requirement $<
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.demo $@

$(VENV)/.bench: requirements/bench.txt pyproject.toml | $(BIN)/python
	$(PIP) --require-hashes --requirement $<
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.demo $(VENV)/.dev $@

$(VENV)/.servers: scripts/servers requirements/spark.txt requirements/clients.txt requirements/clients-protobuf7.txt | $(VENV)/.dev
	scripts/servers
	@touch $@
