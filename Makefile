# Everything below runs in .venv, made from the hash-pinned requirements.lock. Python 3.11 or newer and make are enough.
PYTHON ?= python3
BIN := .venv/bin
# Many tests wait for processes, so three for two processors are quickest.
JOBS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 2) * 3 // 2)')
# Wheels run no code of their own while they are installed. One package has none: a public client that only a test uses.
WHEELS := --only-binary :all: --no-binary comagic-data-api-sdk

PIP = $(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps
define environment
$(PYTHON) -c 'import sys; sys.exit("vnsync needs Python 3.11 or newer; set PYTHON=...") if sys.version_info < (3, 11) else 0' \
  && $(PYTHON) -m venv $(@D)
endef

# Bytecode is written: without it, every process that a test starts compiles its modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: docs demo test pythons soak cover faults check audit bandit bench bench-peers lock clean

demo: $(or $(wildcard .venv/ready),.venv/lean) ## three simulated days of a small agency in a SQLite file
	@$(BIN)/vnsync demo
	@command -v vnsync >/dev/null || echo '  (vnsync is .venv/bin/vnsync here; `. .venv/bin/activate` puts it on the path)'

test: .venv/ready ## the tests, on SQLite and on a PostgreSQL of their own
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

pythons: .venv/ready ## unit, cli and property tests on each other Python from 3.11 on that is here
	@found=$$($(PYTHON) .ci/pythons.py $$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')) || exit 1; \
	echo "$$found" | while read -r version python; do \
	  test -z "$$version" || $(MAKE) --no-print-directory on-$$version PYTHON=$$python </dev/null || exit 1; \
	done

.PRECIOUS: .venv-3.%/ready
on-%: .venv-%/ready
	$(dir $<)bin/python -m pytest tests/unit tests/cli tests/properties -n $(JOBS) --dist worksteal

soak: .venv/ready .venv-airflow/bin/python .venv-datasette/bin/datasette .venv-dbt/bin/dbt .venv-docs/bin/zensical ## the long ones: each parameter on the other database, all mutants, 500 seeds, large accounts
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m soak

cover: .venv/ready ## which lines no test reaches; counting them takes half as long again
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --cov --cov-report=term:skip-covered --cov-fail-under=93

faults: .venv/ready ## of all tests only those that provoke faults for real, and the simulation
	$(BIN)/python -m pytest tests/faults tests/simulation -n $(JOBS) --dist worksteal

check: .venv/ready ## types and style
	$(BIN)/mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

audit: bandit ## what scanners know: the code, and every package of the lock (needs the network)
	$(BIN)/python .ci/audit.py

bandit: .venv/ready ## the code, for what is dangerous; skips and their reasons are in pyproject.toml
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml etl migrations vnsync.py

bench: .venv/ready ## measure, whole processes side by side: make bench ARGS="--numbers 10000 --rounds 1"; ARGS=--help
	$(BIN)/python -m benchmarks $(ARGS)

# Airflow's dependencies exclude some of ours, so it has an environment of its own, as in schedules/airflow/README.md.
.venv-airflow/bin/python:
	$(PYTHON) -m venv .venv-airflow
	.venv-airflow/bin/python -m pip install --quiet --disable-pip-version-check 'apache-airflow>=3.1,<4'

docs: .venv/ready .venv-docs/bin/zensical ## the pages as a site, in build/docs/site
	$(BIN)/python .ci/site.py build/docs
	cd build/docs && $(CURDIR)/.venv-docs/bin/zensical build --strict --clean

.venv-docs/bin/zensical:
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check 'zensical==0.0.*'

# dbt as in dbt/README.md; the adapter for SQLite pins an older dbt-adapters than dbt 1.11 has, and works with the newer one.
.venv-dbt/bin/dbt:
	$(PYTHON) -m venv .venv-dbt
	.venv-dbt/bin/python -m pip install --quiet --disable-pip-version-check 'dbt-core>=1.11,<1.12' 'dbt-postgres>=1.10,<2'
	.venv-dbt/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'dbt-sqlite>=1.10,<1.11'

# Datasette is no dependency: it only shows a warehouse, as in docs/datasette.md.
.venv-datasette/bin/datasette:
	$(PYTHON) -m venv .venv-datasette
	.venv-datasette/bin/python -m pip install --quiet --disable-pip-version-check 'datasette>=0.65,<0.66'

bench-peers: .venv-peers/bin/python ## dlt and ingestr, in an environment of their own: `make bench` then measures them too

.venv-peers/bin/python: benchmarks/peers/requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r $<

# An environment that runs vnsync (lean), or that tests it too (ready): both from the one lock.
.venv/lean: requirements.lock pyproject.toml
	@echo 'Installing vnsync into .venv (about 100 MB, some seconds) ...'
	@$(call environment)
	@$(PYTHON) .ci/runtime_lock.py > .venv/runtime.lock
	@$(PIP) --require-hashes --only-binary :all: -r .venv/runtime.lock
	@$(PIP) --no-build-isolation --editable .
	@touch $@

define ready
@echo 'Installing vnsync and what its tests need into $(@D) (about 600 MB, a minute) ...'
@$(call environment)
@$(PIP) --require-hashes $(WHEELS) -r requirements.lock
@$(PIP) --no-build-isolation --editable .
@touch $@
endef

.venv/ready: requirements.lock pyproject.toml
	$(ready)

# On another Python: see `make pythons`.
.venv-3.%/ready: requirements.lock pyproject.toml
	$(ready)

lock: ## write requirements.lock anew (needs uv)
	uv lock
	uv export --no-emit-project --format requirements-txt --quiet --output-file requirements.lock

clean: ## remove the environment and what the demo made
	rm -rf .venv .venv-* build/docs vnsync-demo.db vnsync-demo.db-wal vnsync-demo.db-shm
