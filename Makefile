# Every command of the project; the work itself is in scripts/.
PYTHON := build/venv/bin/python
SYSTEM_PYTHON := /usr/bin/python3
ARGS ?=
FUZZ_SECONDS ?= 600
# Two processes, each with whole files: fixtures of a module or a session are made in one of them.
PYTEST := QT_QPA_PLATFORM=offscreen $(PYTHON) -m pytest -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast test-long test-faults coverage lint bench fuzz mutation stage package deploy clean

help: ## Show these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install everything that development needs (QGIS and a venv in build/venv)
	@scripts/setup test

demo: ## Map the land cover of the demo image into build/demo
	@scripts/setup inference
	@$(PYTHON) scripts/demo.py

test: ## Run the tests in real QGIS (ARGS="-k blending" picks some)
	@scripts/setup test
	$(PYTEST) $(ARGS)

test-fast: ## Run the tests of a minute: no QGIS, no training, no whole maps
	@scripts/setup test
	$(PYTEST) --fast $(ARGS)

test-long: ## Run the tests that take long and need not run at each change
	@scripts/setup test
	$(PYTEST) --only-long $(ARGS)

test-faults: ## Run all tests of faults, long ones too, and write docs/development/reliability.md
	@scripts/setup test
	QT_QPA_PLATFORM=offscreen $(PYTHON) -m pytest -m fault --long --reliability-page=docs/development/reliability.md $(ARGS)

coverage: ## Measure which branches the tests reach; fails under 95 %
	@scripts/setup test
	@$(PYTHON) scripts/measure_coverage.py

lint: ## Check style, types and what the plugin site's scanners look for
	@scripts/setup test
	@scripts/lint

bench: ## Measure speed, memory, seams and accuracy
	@scripts/setup test
	QT_QPA_PLATFORM=offscreen $(PYTHON) benchmarks/run_all.py $(ARGS)

fuzz: ## Fuzz the readers of strangers' files (FUZZ_SECONDS=600 each)
	@scripts/setup test
	@test -d build/fuzz/packages || $(PYTHON) -m pip install -q --target build/fuzz/packages -r requirements/fuzz.txt
	@mkdir -p build/fuzz/logs
	@for reader in model caffe card; do \
	  $(PYTHON) -m tests.fuzz $$reader --seconds $(FUZZ_SECONDS) > build/fuzz/logs/$$reader.log 2>&1 || \
	    { tail -40 build/fuzz/logs/$$reader.log; exit 1; }; done
	@$(PYTHON) scripts/fuzz_report.py

mutation: ## Change common/ and tiling/ bit by bit, count what no test notices (hours; ARGS="tiling/windows --most 100")
	@scripts/setup test
	@test -d build/mutation/packages || \
	  $(PYTHON) -m pip install -q --no-deps --target build/mutation/packages -r requirements/mutation.txt
	@$(PYTHON) scripts/measure_mutants.py $(ARGS)

.PHONY: texts
texts: ## Print all texts that a user sees, by kind and file (ARGS="--kinds label help")
	@$(SYSTEM_PYTHON) scripts/list_texts.py $(ARGS)

stage: ## Lay the plugin out in build/stage
	@$(SYSTEM_PYTHON) scripts/stage.py

package: ## Build the zip file for QGIS's plugin site and check it by the site's rules
	@$(SYSTEM_PYTHON) scripts/package.py

deploy: ## Copy the plugin into your own QGIS profile (QGIS_PROFILE_DIR picks another)
	@$(SYSTEM_PYTHON) scripts/deploy.py

clean: ## Remove everything that was built, the venv too
	rm -rf build .coverage .hypothesis .mypy_cache .pytest_cache .qgis-settings .ruff_cache
