# Everything runs in .venv, which each target makes when it is missing or out of date.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PPDB := .cache/ppdb/.installed
PPDB_PACKAGES := lsst-dax-ppdb psycopg2-binary cassandra-driver
CLIENTS := .cache/clients/.installed
CLIENT_PACKAGES := lsst-alert-packet 'confluent-kafka[avro,schemaregistry]' aiokafka kafka-python fink-client hop-client pittgoogle-client
CHAOS_KILLS ?= 200
CHAOS_VISITS ?= 1000
RING_DISTURBANCES ?= 15
# Tests wait for servers most of the time, so two at once take little more than half as long, on two cores too.
WORKERS ?= 2
# In the order of collection: xdist's own begins with the files of most tests, and ends with the longest ones.
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
VERSIONS ?= 3.12 3.13
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install demo dashboard test test-ring mutations versions coverage chaos model model-long bench bench-survey bench-cassandra check format docs site clean
.DEFAULT_GOAL := help

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP)  ## Make .venv and install the package with everything it needs

# The interpreter is the first of these that is Python 3.11 or later and can make an environment.
$(STAMP): pyproject.toml constraints.txt
	@python=; for candidate in "$(PYTHON)" python3.11 python3.12 python3.13 python3; do \
	  if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then python="$$candidate"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "stream_assoc needs Python 3.11 or later with venv; on Debian: apt-get install python3.11 python3.11-venv" >&2; \
	  exit 1; \
	fi; \
	echo "Installing into $(VENV) with $$($$python --version) (a minute or so)"; \
	"$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	@# uv takes seconds where pip takes minutes, but it does not read pip's configuration files.
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[test,check]' \
	  || { echo "uv could not install; trying pip" >&2; \
	       $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,check]'; }
	@touch $@

demo: $(STAMP)  ## Run a simulated night through the real daemon and check its totals
	@$(BIN)/stream-assoc demo

dashboard: $(STAMP)  ## The same night with its dashboard, which stays open until Ctrl-C
	@$(BIN)/stream-assoc demo --dashboard

test: $(STAMP)  ## Run all tests, the fast ones first
	@$(BIN)/pytest $(PARALLEL) -m 'not integration and not real_data'
	@$(MAKE) --no-print-directory $(PPDB) $(CLIENTS)
	@$(BIN)/pytest $(PARALLEL) -m '(integration or real_data) and not ring and not mutation and not slow'
	@$(BIN)/pytest benchmarks/test_gate.py

test-ring: $(STAMP)  ## Kill and freeze daemons, and kill nodes of Cassandra, and compare (RING_DISTURBANCES=100: the better part of an hour)
	@STREAM_ASSOC_TEST_RING_DISTURBANCES=$(RING_DISTURBANCES) $(BIN)/pytest -m ring -s --timeout 14400

mutations: $(STAMP)  ## Leave out each rule of the protocol on Cassandra: a test fails without it
	@$(BIN)/pytest -m rules -q

# lsst-dax-ppdb, which replicates an APDB, needs Python 3.12 or later, so it has an environment of its own: the first that
# one of these interpreters can make. Without one the tests of replication are skipped, and say so.
$(PPDB): constraints.txt Makefile | $(STAMP)
	@python=; for candidate in python3.12 python3.13 python3 $(HOME)/.pyenv/versions/3.1[2-9].*/bin/python; do \
	  if "$$candidate" -c 'import sys, venv; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; \
	  then python="$$candidate"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "No Python 3.12 or later is at hand for lsst-dax-ppdb: the tests of replication do not run"; exit 0; \
	fi; \
	echo "Installing lsst-dax-ppdb into $(@D) with $$($$python --version)"; \
	$(BIN)/uv venv --quiet --clear --python "$$python" $(@D) && \
	{ $(BIN)/uv pip install --quiet --python $(@D)/bin/python --constraint constraints.txt $(PPDB_PACKAGES) || \
	  { echo "uv could not install; trying pip" >&2; \
	    $(BIN)/python -m pip --python $(@D)/bin/python install --quiet --retries 1 --constraint constraints.txt \
	      $(PPDB_PACKAGES); }; } && touch $@ \
	|| echo "lsst-dax-ppdb could not be installed: the tests of replication do not run"

# The clients that brokers use, as docs/subscribing.md has them, in an environment of their own: they bring much.
$(CLIENTS): constraints.txt Makefile | $(STAMP)
	@echo "Installing clients of brokers into $(@D)"; \
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D) && \
	{ $(BIN)/uv pip install --quiet --python $(@D)/bin/python --constraint constraints.txt $(CLIENT_PACKAGES) || \
	  { echo "uv could not install; trying pip" >&2; \
	    $(BIN)/python -m pip --python $(@D)/bin/python install --quiet --retries 1 --constraint constraints.txt \
	      $(CLIENT_PACKAGES); }; } && touch $@ \
	|| echo "The clients of brokers could not be installed: their tests do not run"

# The first interpreter of a version that is one: a shim of pyenv may stand for a version that is not chosen.
versions: $(STAMP)  ## Run the fast tests on the other Pythons at hand (VERSIONS="3.12 3.13")
	@for version in $(VERSIONS); do \
	  python=; for candidate in python$$version $(HOME)/.pyenv/versions/$$version.*/bin/python; do \
	    if [ "$$("$$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = $$version ]; \
	    then python="$$candidate"; break; fi; \
	  done; \
	  if [ -z "$$python" ]; then echo "Python $$version is not at hand: its tests do not run"; continue; fi; \
	  echo "The fast tests on Python $$version"; \
	  $(BIN)/uv venv --quiet --clear --python "$$python" .cache/python-$$version && \
	  $(BIN)/uv pip install --quiet --python .cache/python-$$version/bin/python --constraint constraints.txt \
	    --editable '.[test,check]' && \
	  .cache/python-$$version/bin/python -m pytest $(PARALLEL) -m 'not integration and not real_data' \
	    || exit 1; \
	done

coverage: $(STAMP)  ## Run all tests and show which lines none of them has run (docs/testing.md)
	@$(BIN)/coverage erase
	@$(BIN)/pytest $(PARALLEL) -m 'not ring' --cov --cov-report=
	@$(BIN)/coverage report --skip-covered --sort=cover
	@$(BIN)/coverage html --quiet
	@echo "Line by line: .cache/coverage/index.html"

chaos: $(STAMP)  ## Kill, cut, fill and flood for hours (CHAOS_KILLS=200 CHAOS_VISITS=1000), and compare
	@STREAM_ASSOC_TEST_CHAOS_KILLS=$(CHAOS_KILLS) STREAM_ASSOC_TEST_CHAOS_VISITS=$(CHAOS_VISITS) \
	  STREAM_ASSOC_TEST_CHAOS_CUT_SECONDS=30 STREAM_ASSOC_TEST_CHAOS_NIGHTS=5 \
	  STREAM_ASSOC_TEST_CHAOS_ALERT_KILLS=50 \
	  STREAM_ASSOC_TEST_CHAOS_BROKER_CRASHES=4 STREAM_ASSOC_TEST_CHAOS_REPROCESSING=1 STREAM_ASSOC_TEST_CHAOS_HOST_FAULTS=40 \
	  STREAM_ASSOC_TEST_CHAOS_FUZZ=200000 $(BIN)/pytest -m chaos --timeout 14400

model: $(STAMP)  ## Check the specification of the protocol on Cassandra with TLC, each rule left out (needs Java and Maven)
	@$(BIN)/python -m specifications

model-long: $(STAMP)  ## The same, with the models that take minutes each
	@$(BIN)/python -m specifications --long

bench: $(STAMP)  ## Measure every figure of docs/performance.md, side by side with what it is compared with
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	@$(BIN)/pytest benchmarks --timeout 3600
	@$(BIN)/python -m benchmarks.report

bench-survey: $(STAMP)  ## Measure visits of fields with ever longer histories (SURVEY_LONG=1: up to 1,000 sources an object)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	@$(BIN)/python -m benchmarks.survey --plot docs/figures/survey.svg
	@if [ -n "$(SURVEY_LONG)" ]; then $(BIN)/python -m benchmarks.survey --objects 10000 --sizes 1 1000 --plugins all --settling 1; fi

bench-cassandra: $(STAMP)  ## Store visits on a ring of three nodes of Cassandra, read a region, and let histories grow (needs Java and Maven)
	@$(BIN)/python -m benchmarks.cassandra stores
	@$(BIN)/python -m benchmarks.cassandra stores --square-degrees 0.2
	@$(BIN)/python -m benchmarks.cassandra region
	@$(BIN)/python -m benchmarks.cassandra history --sources 2000 --square-degrees 2

check: $(STAMP)  ## Lint, check formatting, types, the direction of imports, and drift of generated files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/stream-assoc schemas generate --check
	@$(BIN)/python -m stream_assoc.settings.reference --check
	@$(BIN)/python docker/grafana/dashboard.py --check
	@$(BIN)/python -m documentation --check
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir .cache/site

format: $(STAMP)  ## Format the code and fix what a tool can fix
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(STAMP)  ## Generate the schemas, the reference pages, PostgreSQL settings and the Grafana dashboard anew
	@$(BIN)/stream-assoc schemas generate
	@$(BIN)/python -m stream_assoc.settings.reference
	@$(BIN)/python docker/grafana/dashboard.py
	@$(BIN)/python -m documentation
	@$(BIN)/python -m documentation.diagrams

site: $(STAMP)  ## Build the documentation site into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:  ## Remove .venv and everything that was generated
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist site
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
