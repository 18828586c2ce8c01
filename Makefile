# The targets of this project. `make` without a target lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install packages tools demo test test-python test-slow matrix lint lock lock-check bench docs

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Programs of npm that the tests start, in $(VENV)/node.
NODE_PACKAGES := azurite@3.35.0 openapi-typescript@7.13.0 typescript@5.9.3
NODE_STAMP := $(VENV)/.node-installed
# constraints.txt sets the versions of all packages, build tools included.
PIP_UPGRADE = $(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip  # --build-constraint needs 25.3
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --build-constraint constraints.txt
# One lock file for all supported Pythons and systems; markers tell where a line applies. The variable sets the file's header.
LOCK = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras pyproject.toml
PYTHONS := 3.11 3.12 3.13 3.14
# The first Python that is new enough and has venv and ensurepip. Debian packages venv separately (python3-venv).
FIND_PYTHON := for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	  "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; \
	done || true

help:  ## List these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 20

install: $(STAMP)  ## Make .venv with Apilane and the packages its tests need

$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP_UPGRADE)
	$(PIP_INSTALL) -e '.[dev]'
	@touch $@

$(BIN)/python:
	@python="$$($(FIND_PYTHON))"; \
	if [ -z "$$python" ]; then \
	  $(MAKE) --no-print-directory packages PACKAGES="python3 python3-venv"; \
	  python="$$($(FIND_PYTHON))"; \
	fi; \
	if [ -z "$$python" ]; then echo "Python 3.11 or newer with venv is needed and was not found." >&2; exit 1; fi; \
	echo "Making $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv $(VENV)

$(BIN)/uv: | $(BIN)/python  # without Apilane, whose installation fails while the lock is out of date
	$(PIP_UPGRADE)
	$(PIP_INSTALL) uv

packages:  # Installs the Debian packages in PACKAGES as root; for other users it prints the command to run
	@missing=""; for package in $(PACKAGES); do dpkg -s "$$package" >/dev/null 2>&1 || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	  else \
	    echo "Packages are missing; run: sudo apt-get install$$missing" >&2; exit 1; \
	  fi; \
	fi

demo: install  ## Run a demo application with real data (stays in the foreground)
	$(BIN)/python docs/examples/atlas/run.py

# The tests of these drivers may not be skipped. apilane/testing/databases starts their servers.
DRIVERS := --require-drivers=sqlite,mysql,postgresql
# The HTTP tests that depend most on the database: the short run on each database server.
PORTABLE := $(addprefix tests/http/test_,$(addsuffix .py,recorded_calls get write values history tenants sessions authorization_rules))

test: install lint tools  ## Run all checks and tests, and part of the HTTP tests on MySQL and PostgreSQL too
	$(BIN)/pytest -n 2 $(DRIVERS)
	for provider in mysql postgresql; do \
	  APILANE_TEST_PROVIDER=$$provider APILANE_TEST_WORKERS=2 $(BIN)/pytest -n 2 $(DRIVERS) $(PORTABLE); \
	done

test-python:  ## Run `make test` with another Python (PYTHON=3.13) in .venv-3.13; without PYTHON: with every supported one
	@for version in $(or $(PYTHON),$(PYTHONS)); do \
	  if "python$$version" -c 'import venv, ensurepip' 2>/dev/null; then \
	    $(MAKE) --no-print-directory test VENV=".venv-$$version" FIND_PYTHON="echo python$$version"; \
	  else \
	    echo "Python $$version is skipped: PATH has no python$$version with venv and ensurepip." >&2; \
	  fi; \
	done

tools: $(NODE_STAMP)  # Programs that the tests and the README's walk call. The tests start the servers, not as root.
	@$(MAKE) --no-print-directory packages PACKAGES="curl strace chromium prometheus mariadb-server postgresql tdsodbc unixodbc"

$(NODE_STAMP): Makefile | $(BIN)/python
	@command -v npm >/dev/null || $(MAKE) --no-print-directory packages PACKAGES="nodejs npm"
	npm install --silent --no-audit --no-fund --no-save --no-package-lock --prefix $(VENV)/node $(NODE_PACKAGES)
	@touch $@

test-slow: install tools  ## Run the slow tests (a million records, hundreds of kills), then all HTTP tests with four workers and on each driver
	$(BIN)/pytest -m slow -n 2 $(DRIVERS)
	APILANE_TEST_WORKERS=4 $(BIN)/pytest -n 2 tests/http
	for provider in mysql postgresql; do \
	  APILANE_TEST_PROVIDER=$$provider $(BIN)/pytest -n 2 $(DRIVERS) tests/http tests/mail; \
	done

matrix: install tools  ## Run the conformance suite on every driver and write the docs' support matrix
	$(BIN)/pytest -n 2 $(DRIVERS) tests/drivers -k conformance --matrix tests/drivers/matrix.json
	$(BIN)/python docs/generate.py

lint: install  ## Check style, types and generated docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/generate.py --check

lock: $(BIN)/uv  ## Write constraints.txt from pyproject.toml, keeping versions that still fit; UPGRADE=--upgrade takes the newest
	$(LOCK) $(UPGRADE) --output-file constraints.txt

lock-check: $(BIN)/uv  ## Fail when constraints.txt is not what `make lock` would write (asks the package registry)
	@cp constraints.txt $(VENV)/constraints.txt
	@$(LOCK) --output-file $(VENV)/constraints.txt
	@diff -u constraints.txt $(VENV)/constraints.txt || { \
	  echo "constraints.txt does not fit pyproject.toml. Run: make lock" >&2; exit 1; }

docs: install  ## Build the documentation site in build/site; it needs no network when it is read
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going docs build/site
	@echo "build/site/index.html"

bench: install  ## Measure the request paths and their floors (see benchmarks/); BENCH=--quick for a short run
	@$(MAKE) --no-print-directory packages PACKAGES="wrk"
	$(PIP_INSTALL) -e '.[bench]'
	$(BIN)/python benchmarks/run.py $(BENCH)
