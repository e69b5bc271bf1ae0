# Two commands matter: `make test` and `make demo`. Both install what they need into .venv and the user's cache.
PYTHON ?= python3
BIN := .venv/bin
UNIT := tests/unit tests/repository --ignore tests/repository/programs
SERVERS := tests/repository/programs tests/integration tests/end_to_end
# Also on two cores: tests on servers wait half of their time.
WORKERS ?= 3
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder  # a file's tests share servers; the longest begin
unexport PYTHONDONTWRITEBYTECODE  # hundreds of processes would compile the same modules

.PHONY: help check unit test covered servers slow demo format bench docs preview lock clean
.NOTPARALLEL:
help:
	@echo "make demo          watch a real PostgreSQL under load (WITH=neo4j,minio adds more, SECONDS=60 ends it)"
	@echo "make unit          run the tests that need no server, no network and no program: a minute"
	@echo "make test          run all tests, also those on real servers (TESTS=tests/unit/queries: some of them)"
	@echo "make slow          run what takes hours: long fuzzing, 10,000 polls of failing servers, many targets"
	@echo "make check         lint, types, query files, promtool, the repository's consistency"
	@echo "make bench         run the benchmarks and write their results"
	@echo "make preview       draw the dashboards from ten minutes of a data tier under load (npm, chromium)"
	@echo "make format docs lock clean"

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -q tests/repository/test_repository.py tests/repository/programs/test_promtool.py

unit: .venv/dev
	$(BIN)/pytest $(PARALLEL) $(UNIT)

test: .venv/dev
ifdef TESTS
	$(BIN)/pytest $(PARALLEL) $(TESTS)
else
	@$(MAKE) --no-print-directory --keep-going covered servers  # a failure of the first does not hide one of the second
endif

covered: .venv/dev
	$(BIN)/pytest $(PARALLEL) $(UNIT) --cov  # fails below the coverage that pyproject.toml requires

servers: .venv/dev
	-$(BIN)/python -m testkit fetch  # a server that cannot be had is a skip with its reason, on CI a failure
	$(BIN)/pytest $(PARALLEL) $(SERVERS)

slow: .venv/dev
	FUZZ=long $(BIN)/pytest $(PARALLEL) tests/unit/fuzz
	$(BIN)/pytest -m slow tests
	$(BIN)/python -m bench scale soak faults hostile

demo: $(if $(WITH),.venv/dev,.venv/demo)
	@$(BIN)/python -m deploy.demo $(if $(WITH),--with $(WITH)) $(if $(SECONDS),--seconds $(SECONDS))

bench: .venv/dev
	$(BIN)/python -m bench

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/dev
	$(BIN)/python -m docs.make_metrics > docs/metrics.md
	$(BIN)/python -m dashboards
	for name in $(RULES); do $(BIN)/datatier-exporter rules $$name > alerts/rules/$$name.yaml; done
RULES := $(basename $(notdir $(wildcard alerts/catalogue/*.yaml)))

preview: .venv/dev
	$(BIN)/python -m dashboards.preview

lock: .venv/dev
	$(BIN)/uv pip compile $(LOCK) pyproject.toml -o deploy/requirements.txt
	$(BIN)/uv pip compile $(LOCK) pyproject.toml --group demo -o deploy/demo-requirements.txt
	$(BIN)/uv pip compile $(LOCK) pyproject.toml --group dev -o tests/requirements.txt
LOCK := --quiet --upgrade --generate-hashes --no-strip-extras --universal --no-header --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links

clean:
	rm -rf .venv dist

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " \
		+ sys.version.split()[0] + ": make PYTHON=/path/to/python3.11 ...")'
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "no venv could be made; on Debian: apt-get install python3-venv"; exit 1; }

.venv/demo: .venv/bin/python deploy/demo-requirements.txt
	@echo "installing into .venv ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r deploy/demo-requirements.txt
	@touch $@

.venv/dev: .venv/bin/python tests/requirements.txt pyproject.toml
	@echo "installing into .venv ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r tests/requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@ .venv/demo
