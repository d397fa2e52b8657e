# make sandbox   the whole pipeline for one trading session, on this machine
# make notebook  the charts of its lake
# make test      every check and test
# make deploy    the stack into an AWS account
# make help      the other targets
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(CURDIR)/node_modules/.bin:$(PATH)
# Tools that phone home do not: the set-up is the only step that uses the network
export CDK_DISABLE_CLI_TELEMETRY := 1

SETUP := $(VENV)/.ready
NOTEBOOK := $(VENV)/.notebook
BUNDLE := build/.ready

DATE ?=
SESSIONS ?= 1
HISTORY ?=
B3 ?= simulated
JOB ?= script
STACK_ARGS ?=
LAKE ?= sandbox
READER ?= daily
MINUTES ?= 60
FAULTS ?= faults or long_faults

.PHONY: help setup sandbox report notebook pictures test test-faults check lint types synth deploy destroy bench bench-reader cost fuzz audit docs clean lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.python: requirements.txt requirements-dev.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; PYTHON=/path/to/python3.11 make ...")'
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the Python packages (Spark, its JDK, Node, the CDK and the AWS emulator among them) ..."
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	@touch $@

$(SETUP): $(VENV)/.python package.json package-lock.json
	@echo "Installing the CDK CLI ..."
	@npm ci --silent --no-audit --no-fund
	@touch $@

$(BUNDLE): $(SETUP) scraper/requirements-lambda.txt sandbox/PlainLocalFileSystem.java sandbox/local_spark.py
	@echo "Fetching what the scraper's function is deployed with, and warming up ..."
	@$(VENV)/bin/python -m stacks.bundling
	@$(VENV)/bin/python -m sandbox.local_spark
	@mkdir -p build && touch $@

setup: $(SETUP) $(BUNDLE) ## install everything that the other targets need

sandbox: setup ## run the pipeline here: DATE=2026-11-19 SESSIONS=3 HISTORY=64 B3=simulated|live|<folder> JOB=script|visual STACK_ARGS="-c ..."
	@python -m sandbox run --b3 "$(B3)" --job "$(JOB)" --sessions "$(SESSIONS)" \
	  $(if $(HISTORY),--history "$(HISTORY)") $(if $(DATE),--date "$(DATE)") $(STACK_ARGS)

# A LANGUAGE that is said here, not the one of GNU gettext that the environment may have
ifeq ("$(origin LANGUAGE)","command line")
IN_LANGUAGE := --language "$(LANGUAGE)"
endif

report: setup ## the report of a session: DATE=2026-11-19 LANGUAGE=en|pt LAKE=sandbox|aws (your account, STACK_NAME=BovespaPipeline)
ifeq ($(LAKE),aws)
	@STACK_NAME="$(or $(STACK_NAME),BovespaPipeline)" python -m notebooks.report $(if $(DATE),--date "$(DATE)") $(IN_LANGUAGE)
else ifeq ($(LAKE),sandbox)
	@python -m sandbox report $(if $(DATE),--date "$(DATE)") $(IN_LANGUAGE)
else
	@echo "LAKE is $(LAKE), expected sandbox or aws" >&2; exit 2
endif

$(NOTEBOOK): $(SETUP) requirements-notebook.txt
	@echo "Installing JupyterLab ..."
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-notebook.txt -c constraints.txt
	@touch $@

notebook: setup $(NOTEBOOK) ## the charts in JupyterLab, on the sandbox's lake with 64 sessions or more: LANGUAGE=en|pt
	@python -m sandbox notebook $(IN_LANGUAGE)

pictures: setup ## the charts as files, of the sandbox's lake with 64 sessions or more
	@python -m sandbox pictures

lint: setup
	@ruff check . && ruff format --check .

types: setup
	@mypy

check: lint types ## ruff and mypy

test: check ## every check and every test but those of faults
	@python -m pytest -n 2 --dist loadgroup -m "not faults and not long_faults"

test-faults: setup ## break the pipeline in every way of docs/faults.md, and look what is left; FAULTS=faults: but for a thousand events
	@python -m pytest -n 2 --dist loadgroup -m "$(FAULTS)"

synth: setup ## the CloudFormation template, checked by cdk-nag
	@cdk synth --quiet && echo "cdk.out/ holds the template"

deploy: setup ## deploy into the AWS account of your credentials: STACK_ARGS="-c removal_policy=destroy ..."
	@python -m stacks.arguments $(STACK_ARGS)
	@cdk bootstrap $(STACK_ARGS)
	@cdk deploy $(STACK_ARGS)

destroy: setup ## empty the buckets, drop the tables, delete the stack (deployed with removal_policy=destroy)
	@python -m stacks.arguments $(STACK_ARGS)
	@python -m stacks.teardown
	@cdk destroy --force $(STACK_ARGS)

docs: setup ## write the READMEs' column tables from the schemas, the queries from their headers, the graph from its nodes
	@python -m docs.tables
	@python -m docs.queries
	@python -m docs.fuzzing
	@python -m docs.graph

bench: setup ## the benchmarks, beside what a user would pick instead
	@python -m benchmarks

cost: setup ## write docs/cost.md anew, from what the benchmarks measured and the prices
	@python -m benchmarks.cost

bench-reader: setup ## the reader of annual files beside unzipping, libraries, polars and DuckDB: table and plot
	@python -m benchmarks reader_year

fuzz: setup ## fuzz a reader for an hour: READER=daily|annual|portfolio MINUTES=60
	@test -x .venv-fuzz/bin/python || $(PYTHON) -m venv .venv-fuzz
	@.venv-fuzz/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-fuzz.txt -c constraints.txt
	@.venv-fuzz/bin/python -m tests.fuzz $(READER) --minutes $(MINUTES)

audit: setup ## packages against the databases of vulnerabilities, checkov over the template: needs the network
	@test -x .venv-audit/bin/python || $(PYTHON) -m venv .venv-audit
	@.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-audit.txt
	@.venv-audit/bin/pip-audit --strict --no-deps --disable-pip -r constraints.txt
	@.venv-audit/bin/pip-audit --strict --no-deps --disable-pip -r scraper/requirements-lambda.txt
	@npm audit --audit-level=high
	@CHECKOV="$(CURDIR)/.venv-audit/bin/checkov" python -m pytest -n 0 -q tests/stack/test_checkov.py

lock: setup ## compute constraints.txt and package-lock.json again after a change of versions
	@$(VENV)/bin/python -m pip install --quiet uv && uv pip compile --universal --python-version 3.11 \
	  --no-emit-index-url --no-annotate --no-header --quiet requirements-dev.txt \
	  requirements-notebook.txt -o constraints.txt
	@npm install --package-lock-only --omit-lockfile-registry-resolved --silent

clean: ## remove what set-up and runs have made
	@rm -rf $(VENV) node_modules build cdk.out reports .venv-audit .venv-fuzz .sandbox .mypy_cache .ruff_cache .pytest_cache .hypothesis
