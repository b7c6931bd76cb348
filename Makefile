# The words that people type. Each makes the environment first; that is quick when there is nothing to do.
CONFIG ?= examples/movielens-100k.yaml
DEMO_USER ?= 308
PYTHON := .venv/bin/python
RUNNER := $(PYTHON) tfx_runner.py
TIMED = begin=$$(date +%s); $(1); code=$$?; echo "-- $(2): $$(( $$(date +%s) - begin )) s"; echo; exit $$code

.PHONY: bootstrap demo test lint lock sbom bench-quality bench-index bench-serving bench-neighbours bench-tables \
	bench-evaluation bench-beam bench-warm-start simulate-days image-steps check-airflow

bootstrap:
	@./bootstrap

demo:
	@$(call TIMED,./bootstrap,bootstrap)
	@$(call TIMED,$(RUNNER) data --config $(CONFIG),data)
	@$(call TIMED,$(RUNNER) run --config $(CONFIG),pipeline)
	@$(call TIMED,$(RUNNER) recommend --config $(CONFIG) --user $(DEMO_USER),recommend)

test: bootstrap
	$(PYTHON) -m pytest -n 2 --no-loadscope-reorder

image-steps: bootstrap
	$(PYTHON) -m tests.pipeline.deploy.image_steps

lint: bootstrap
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy benchmarks config pipeline transform trainer serving tfx_runner.py
	.venv/bin/codespell .
	.venv/bin/lint-imports

# After a new line or version in requirements.lock: writes the hashes of all lines, for every platform.
lock:
	grep == requirements.lock | sed 's/ *\\$$//' | .venv/bin/uv pip compile - --generate-hashes --universal --no-deps \
		--python-version 3.11 --no-annotate --no-header --quiet --upgrade --output-file requirements.lock

# The bill of materials of requirements.lock, as CycloneDX.
sbom: bootstrap
	.venv/bin/uvx --quiet --from cyclonedx-bom==7.5.0 cyclonedx-py requirements requirements.lock --output-file sbom.json

bench-quality: bootstrap
	$(PYTHON) -m benchmarks.quality

bench-index: bootstrap
	$(PYTHON) -m benchmarks.index

bench-serving: bootstrap
	$(PYTHON) -m benchmarks.serving

bench-neighbours: bootstrap
	$(PYTHON) -m benchmarks.neighbours

bench-tables: bootstrap
	$(PYTHON) -m benchmarks.tables

bench-evaluation: bootstrap
	$(PYTHON) -m benchmarks.evaluation
	$(PYTHON) -m benchmarks.hot_users

bench-beam: bootstrap
	$(PYTHON) -m benchmarks.beam

bench-warm-start: bootstrap
	$(PYTHON) -m benchmarks.warm_start

# A fortnight of daily runs with what goes wrong in production: `python -m benchmarks.days --help`.
simulate-days: bootstrap
	$(PYTHON) -m benchmarks.days

# Has Airflow itself parse a rendered DAG. AIRFLOW is the Python of an environment of Airflow's own.
AIRFLOW ?= airflow-venv/bin/python
check-airflow: bootstrap
	$(RUNNER) compile --config $(CONFIG) --target airflow --schedule @daily --output build/dags/recommender.py
	AIRFLOW_HOME=$(CURDIR)/build/airflow AIRFLOW__CORE__LOAD_EXAMPLES=False $(AIRFLOW) tests/pipeline/runners/parse_dag.py build/dags
