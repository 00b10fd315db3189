# `make` lists the targets. EXTRA=gpu installs onnxruntime-gpu in the place of onnxruntime.
PYTHON ?= python3
EXTRA ?= cpu
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed-$(EXTRA)

.DEFAULT_GOAL := help
.PHONY: help install quickstart test test-all reliability simulate lint check format clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Make .venv with everything a developer needs; the command is then .venv/bin/compress

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@# cpu and gpu install the same package over one another: leave none of the other before installing this one
	@rm -f $(VENV)/.installed-* && $(BIN)/python -m pip uninstall --quiet --yes onnxruntime onnxruntime-gpu 2>/dev/null
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRA),demo,lora,bitsandbytes,dev]'
	@touch $@

quickstart: $(INSTALLED) ## Install, then run the whole story on the embedded example (five minutes more)
	$(BIN)/compress run quickstart

test: $(INSTALLED) ## Install where needed, then run the tests but for the slow ones
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m "not slow"

test-all: $(INSTALLED) ## Run all tests, the slow ones too (end-to-end runs of many seconds)
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

reliability: $(INSTALLED) ## Kill, starve, fuzz and attack it at length (half an hour); writes docs/reliability.md
	$(BIN)/python -m tests.reliability.at_length

simulate: $(INSTALLED) ## Simulate how often every interval of a report covers (under an hour); writes docs/statistics.md
	$(BIN)/python benchmarks/simulate/simulate.py

lint: $(INSTALLED) ## Run ruff, mypy and import-linter
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks/distillation/*.py
	$(BIN)/lint-imports

check: lint test-all ## Run the linters and all tests

format: $(INSTALLED) ## Format the code, mend what ruff can, and write the techniques' types and the report's schema
	$(BIN)/python -m tests.techniques.signatures
	$(BIN)/python -m tests.report.schema_file
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove .venv and caches; runs/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
