# Two commands matter: `make run` and `make test`. Everything they need is installed into .venv here.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

PORT ?= 8080
DATA ?= var
KILLS ?= 20
KILL_LINES ?= 500000
ROWS ?= 20000000
IDS ?= dated
PYTHON ?= python3
BIN := .venv/bin
CODE := app merchants rewards carbon ledger kernel migrations tests $(wildcard bench) wsgi.py

.PHONY: help run story test check lint types bench bench-growth bench-rush bench-cost bench-page kills reconcile openapi

help: ## Say what each target does
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 14

run: .venv/.stamp-run ## Serve the product and its demo city (PORT=8080 DATA=var); Ctrl-C stops it
	@exec $(BIN)/python -m app.serve --port "$(PORT)" --data "$(DATA)"

story: .venv/.stamp-run ## Play the story over HTTP against the running server (DATA=var)
	@TANPUHUI_DATA="$(DATA)" exec $(BIN)/python -m app.story

test: .venv/.stamp-dev ## Run the tests on a PostgreSQL of their own
	@exec $(BIN)/python -m pytest -n 2 --dist loadgroup

check: lint types test ## Everything that must hold before a change lands; the tests come last

lint: .venv/.stamp-dev ## Check style, and that imports only go down
	@$(BIN)/python -m ruff check $(CODE)
	@$(BIN)/python -m ruff format --check $(CODE)
	@$(BIN)/lint-imports

types: .venv/.stamp-dev ## Check types, strictly
	@$(BIN)/python -m mypy $(filter-out migrations,$(CODE))

bench: .venv/.stamp-run ## Measure, beside controls of the same minute; writes DATA/bench/latest.json
	@TANPUHUI_DATA="$(DATA)" exec $(BIN)/python -m bench

bench-growth: .venv/.stamp-run ## Fill 20 million activities and measure on the way (DATA=var ROWS=20000000 IDS=dated)
	@TANPUHUI_DATA="$(DATA)" exec $(BIN)/python -m bench.growth --rows "$(ROWS)" --ids "$(IDS)"

bench-rush: .venv/.stamp-run ## Let 10,000 citizens come for 100 items, thrice; writes DATA/bench/rush.json
	@TANPUHUI_DATA="$(DATA)" exec $(BIN)/python -m bench.rush

bench-cost: .venv/.stamp-run ## Processor time of a redemption beside an update of one row; writes DATA/bench/cost.json
	@TANPUHUI_DATA="$(DATA)" exec $(BIN)/python -m bench.cost

bench-page: .venv/.stamp-dev ## Draw the kept figures (DATA=var) into docs/benchmarks
	@TANPUHUI_DATA="$(DATA)" exec $(BIN)/python -m bench.page

reconcile: .venv/.stamp-run ## Prove the running server's ledger, or name what does not hold (DATA=var)
	@TANPUHUI_DATA="$(DATA)" exec $(BIN)/python -m flask --app wsgi reconcile

kills: .venv/.stamp-dev ## Kill worker, web and PostgreSQL at random in a long import (KILLS=20 KILL_LINES=500000)
	@KILLS="$(KILLS)" KILL_LINES="$(KILL_LINES)" exec $(BIN)/python -m pytest tests/journeys/test_kills.py -k again_and_again

openapi: .venv/.stamp-run ## Write docs/reference/openapi.json from the code
	@exec $(BIN)/python -m app.openapi_document docs/reference/openapi.json

# uv when it is there, else pip; always exactly the pinned and hashed wheels.
define install
@echo "Installing $(1) into .venv (the first time takes a minute) …"
@if command -v uv >/dev/null; then \
	uv pip install -q --compile-bytecode --python $(BIN)/python --require-hashes --only-binary :all: -r $(1); \
else \
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; \
	$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --only-binary :all: -r $(1); \
fi
endef

.venv/bin/python:
	@for python in "$(PYTHON)" python3.13 python3.12 python3.11; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			if command -v uv >/dev/null; then uv venv -q --seed --python "$$("$$python" -c 'import sys; print(sys.executable)')" .venv; \
			else "$$python" -m venv .venv; fi; \
			exit 0; \
		fi; \
	done; \
	echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3" >&2; exit 1

.venv/.stamp-run: requirements.txt | .venv/bin/python
	$(call install,requirements.txt)
	@touch .venv/.stamp-run

.venv/.stamp-dev: requirements-dev.txt | .venv/bin/python
	$(call install,requirements-dev.txt)
	@touch .venv/.stamp-run .venv/.stamp-dev
