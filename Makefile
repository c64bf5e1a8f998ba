# Two commands matter: `make run` and `make test`. Everything they need is installed into .venv here.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PORT ?= 8080
DATA ?= var
PYTHON ?= python3
BIN := .venv/bin
CODE := app merchants rewards carbon ledger kernel migrations tests wsgi.py

.PHONY: help run test check lint types openapi

help: ## Say what each target does
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

run: .venv/.stamp-run ## Serve the product (PORT=8080 DATA=var); Ctrl-C stops it
	@$(BIN)/python -m app.serve --port "$(PORT)" --data "$(DATA)"

test: .venv/.stamp-dev ## Run the tests on a PostgreSQL of their own
	@$(BIN)/python -m pytest -n 2

check: lint types test ## Everything that must hold before a change lands

lint: .venv/.stamp-dev ## Style and the direction of imports
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/lint-imports

types: .venv/.stamp-dev ## Types, strictly
	@$(BIN)/mypy

openapi: .venv/.stamp-dev ## Write docs/reference/openapi.json from the code
	@$(BIN)/python -m app.openapi_document docs/reference/openapi.json

# uv when it is there, else pip; always exactly the pinned and hashed files.
.venv/bin/python:
	@if command -v uv >/dev/null; then uv venv -q --python "$(PYTHON)" .venv; else "$(PYTHON)" -m venv .venv; fi

.venv/.stamp-run: requirements.txt | .venv/bin/python
	@if [ ! -e .venv/.stamp-dev ]; then $(MAKE) --no-print-directory install FILE=requirements.txt; fi
	@touch .venv/.stamp-run

.venv/.stamp-dev: requirements-dev.txt | .venv/bin/python
	@$(MAKE) --no-print-directory install FILE=requirements-dev.txt
	@touch .venv/.stamp-dev

.PHONY: install
install:
	@echo "Installing $(FILE) into .venv (the first time takes a minute) …"
	@if command -v uv >/dev/null; then uv pip install -q --python .venv/bin/python --require-hashes -r $(FILE); \
	else $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(FILE); fi
