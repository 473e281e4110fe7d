# The front door of this project: `make help` lists what it opens.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --warn-undefined-variables --no-print-directory
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
GOOGLEAPIS := $(VENV)/share/googleapis
INSTALLED := $(VENV)/.installed
TOOLS := $(VENV)/.tools-checked
CODE := analytics billing common gateway ingestion loadgen tests protos/generate.py
STATIC_CHECKS := check-format check-lint check-types check-protos check-proto check-test-docs
# Every test says in a sentence what it is about; the linter sees to modules, classes and fixtures.
DOCUMENTED := --fail-under 100 --whitelist-regex '^test_'
# More arguments for pytest, as in `make test ARGS="-k tariff -x"`.
ARGS ?=
# A real file for `make demo FILE=usage.xml`.
FILE ?=

.PHONY: help
help: ## lists the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name what; do \
	  printf '%-14s %s\n' "$$name" "$$what"; done

# --- set-up ---------------------------------------------------------------------------------------------------------

.PHONY: setup
setup: $(INSTALLED) $(TOOLS) ## makes .venv from the lock and sees that the server programs are there
	@:

$(INSTALLED): requirements-local.lock pyproject.toml
	@find_python() { \
	  for name in python3 python3.12 python3.11; do \
	    if "$$name" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; then \
	      echo "$$name"; return; \
	    fi; \
	  done; \
	  echo 'Python 3.11 or 3.12 is missing: install one of them so that python3.11 or python3.12 is on the PATH.' >&2; \
	  return 1; \
	}; \
	if ! [ -x $(BIN)/python ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  python=$$(find_python); \
	  echo "Making $(VENV) with $$("$$python" --version) ..."; \
	  "$$python" -m venv --clear $(VENV) >$(VENV).log 2>&1 || { tail -n 5 $(VENV).log; \
	    echo "A virtual environment could not be made: on Debian install python3-venv."; exit 1; }; \
	  rm -f $(VENV).log; \
	fi
	@echo 'Installing what requirements-local.lock names ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-local.lock
	@echo 'Installing the project itself, as editable ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@mkdir -p $(GOOGLEAPIS)/google/type
	@types=$$($(BIN)/python -c 'import google.type.money_pb2 as m, pathlib; print(pathlib.Path(m.__file__).parent)'); \
	  cp "$$types"/*.proto $(GOOGLEAPIS)/google/type/
	@touch $@

$(TOOLS): $(INSTALLED) common/localstack/tools.py common/localstack/locate.py
	@echo 'Looking for the server programs ...'
	@$(BIN)/python -m common.localstack check-tools
	@touch $@

# --- running --------------------------------------------------------------------------------------------------------

.PHONY: demo
# Taken while make reads this file, so that the set-up counts too.
demo: export DEMO_FILE := $(FILE)
demo: export GRIDMESH_STARTED_AT := $(shell date +%s)
demo: setup ## runs the whole mesh on this machine, drives it with a fleet, reports, and stops it again
	@$(BIN)/python -m common.localstack run -- $(BIN)/python -m loadgen demo $(ARGS)

.PHONY: bench
bench: setup ## measures the mesh's path beside its bare limits; ARGS=--quick in under two minutes, less exactly
	@$(BIN)/python -m common.localstack run --fresh -- $(BIN)/python -m tests.bench $(ARGS)

.PHONY: bench-store
bench-store: setup ## measures the store with a day of a whole fleet in it; ARGS=--quick in under three minutes
	@ANSWER_CACHE_SECONDS=0 $(BIN)/python -m common.localstack run --fresh -- $(BIN)/python -m tests.bench_store $(ARGS)

.PHONY: up
up: setup ## starts the mesh and leaves it running; prints the addresses
	@$(BIN)/python -m common.localstack up

.PHONY: down
down: $(INSTALLED) ## stops the mesh that `make up` has started
	@$(BIN)/python -m common.localstack down

.PHONY: status
status: $(INSTALLED) ## says what of the mesh runs
	@$(BIN)/python -m common.localstack status

# --- checking -------------------------------------------------------------------------------------------------------

.PHONY: test
# The tests on real parts mostly wait, so two processes of them, each with servers of its own, take half the time; those of
# whole meshes and of what travels when have the machine for themselves.
test: setup ## runs every test on the real parts; SAMPLES_DIR names the folder of real files
	@$(if $(ARGS),$(BIN)/pytest tests $(ARGS),$(BIN)/pytest tests/unit --numprocesses=auto && \
	  $(BIN)/pytest tests/integration --numprocesses=2 --dist=loadfile && \
	  $(BIN)/pytest tests/e2e --numprocesses=2 --dist=loadfile && \
	  $(BIN)/pytest tests --ignore=tests/unit --ignore=tests/integration --ignore=tests/e2e)

.PHONY: faults
faults: setup ## kills and cuts everything under load and checks the history; leaves .run/faults/report.json
	@$(BIN)/python -m tests.faults $(ARGS)

.PHONY: k8s
k8s: $(INSTALLED) ## renders the manifests into .run/k8s and checks them, the Dockerfile and compose.yaml
	@mkdir -p .run/k8s
	@for overlay in dev prod prod-inside; do \
	  $(BIN)/kubectl kustomize k8s/overlays/$$overlay >.run/k8s/$$overlay.yaml; \
	  echo "k8s/overlays/$$overlay: $$(grep -c '^kind:' .run/k8s/$$overlay.yaml) manifests in .run/k8s/$$overlay.yaml"; \
	done
	@$(BIN)/pytest tests/unit/k8s $(ARGS)

.PHONY: check
check: $(INSTALLED) ## checks format, lint, types, protos, docstrings of tests and the unit tests, in parallel
	@$(MAKE) --jobs=4 --output-sync=target --keep-going $(STATIC_CHECKS) check-unit
	@echo 'Every check has passed.'

.PHONY: check-static
check-static: $(INSTALLED) ## checks all that `check` does but runs no test, as before `make test`
	@$(MAKE) --jobs=4 --output-sync=target --keep-going $(STATIC_CHECKS)

.PHONY: $(STATIC_CHECKS) check-unit
check-format: $(INSTALLED)
	@$(BIN)/ruff format --quiet --diff .

check-lint: $(INSTALLED)
	@$(BIN)/ruff check --quiet .

check-types: $(INSTALLED)
	@$(BIN)/mypy --no-error-summary $(CODE)

check-protos: $(INSTALLED)
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code --path protos/energy
	@$(BIN)/buf breaking protos --against protos/baseline.binpb

check-proto: $(INSTALLED) ## sees that the committed generated code is what the protos give
	@$(BIN)/python protos/generate.py --check

check-test-docs: $(INSTALLED)
	@$(BIN)/interrogate --quiet $(DOCUMENTED) tests || { \
	  $(BIN)/interrogate -vv --omit-covered-files $(DOCUMENTED) tests; exit 1; }

check-unit: $(INSTALLED)
	@$(BIN)/pytest tests/unit --numprocesses=auto

.PHONY: format
format: $(INSTALLED) ## formats the code and the protos
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/buf format --write --path protos/energy

# --- what is generated ----------------------------------------------------------------------------------------------

.PHONY: proto
proto: $(INSTALLED) ## regenerates protos/gen from the protos
	@$(BIN)/python protos/generate.py

# The manifest has the rule files' groups as they stand, two columns further in.
.PHONY: rules
rules: ## rewrites the manifest of Prometheus' rules from the rule files that the local mesh loads
	@cd k8s/base/monitoring && { \
	  echo '# Made by `make rules` of the rule files beside it.'; \
	  for name in recording-rules alerting-rules cluster-rules; do \
	    echo '---'; \
	    printf '%s\n' 'apiVersion: monitoring.coreos.com/v1' 'kind: PrometheusRule' 'metadata:' "  name: $$name" 'spec:'; \
	    sed -e '/^#/d' -e 's/^./  &/' "$$name.yaml"; \
	  done; } >prometheus-rules.yaml

.PHONY: lock
lock: ## rewrites the two lock files from pyproject.toml, with uv or pip-tools; ARGS=--upgrade takes newer versions
	@compile() { \
	  if command -v uv >/dev/null; then \
	    uv pip compile --quiet --no-header --generate-hashes --python-version 3.11 "$$@" pyproject.toml; \
	  elif command -v pip-compile >/dev/null; then \
	    pip-compile --quiet --no-header --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
	      --no-emit-trusted-host --no-emit-find-links "$$@" pyproject.toml; \
	  else \
	    echo 'Neither uv nor pip-compile is on the PATH: install uv or pip-tools.' >&2; return 1; \
	  fi >/dev/null; \
	}; \
	compile $(ARGS) --output-file requirements.lock; \
	compile $(ARGS) --extra local --output-file requirements-local.lock

.PHONY: clean
clean: ## stops the mesh and removes what set-up and runs have made: .venv, .run and caches
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m common.localstack down || true; fi
	@rm -rf $(VENV) .run .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
