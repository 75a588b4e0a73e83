# The two commands of a newcomer are `make demo` and `make test`. Nothing but python3 (>= 3.10), make and pip is assumed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHARED ?= ../shared

.PHONY: demo test quick accuracy grade docs lab-voxels lab-worlds lab-trajectories lab-panoramas bench stress format clean

$(VENV)/core: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/dev: $(VENV)/core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

demo: $(VENV)/core  ## judge a run that diverged, then the healthy one beside it
	@$(BIN)/runvet check examples/runs/healthy; true
	@echo
	@$(BIN)/runvet check examples/runs/diverging --also html=demo-report.html; test $$? -eq 1
	@echo; echo "Next: $(BIN)/runvet check PATH/OF/YOUR/RUN   and   $(BIN)/runvet explain rising-loss"
	@echo "Look: $(CURDIR)/demo-report.html (opens in any browser)"

test: $(VENV)/dev  ## everything that must hold: format, lint, types, docs in step, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tools/make_docs.py --check
	$(BIN)/pytest -n 2 -q

quick: $(VENV)/dev  ## the fast half of the tests
	$(BIN)/pytest -q -n 2 -m "not slow" -x

accuracy: $(VENV)/dev  ## precision and recall per rule over the labelled corpora, kept in docs/accuracy.md
	$(BIN)/python tools/accuracy.py $(SHARED)

grade: $(VENV)/dev  ## the graders of the corpora beside the checkout
	-$(PYTHON) $(SHARED)/tools/grade_logs.py $(BIN)/runvet $(SHARED)/corpus/logs $(SHARED)/corpus/logs2 $(SHARED)/corpus/logs3
	-$(PYTHON) $(SHARED)/tools/grade_artifacts.py $(BIN)/runvet $(SHARED)/corpus/artifacts
	-$(PYTHON) $(SHARED)/tools/grade_case.py $(BIN)/runvet $(SHARED)/cases/*

docs: $(VENV)/dev  ## rule pages and reference from the code
	$(BIN)/python tools/make_docs.py

lab-voxels: $(VENV)/dev  ## voxel trainings, healthy and sick, each judged by runvet check; about half an hour on two cores
	$(BIN)/runvet-lab voxels judge --out $(or $(OUT),build/lab-voxels)

lab-worlds: $(VENV)/dev  ## world-model trainings, healthy and sick, each judged by runvet check; about half an hour on two cores
	$(BIN)/runvet-lab worlds judge --out $(or $(OUT),build/lab-worlds)

lab-trajectories: $(VENV)/dev  ## trajectory trainings, healthy and sick, each judged by runvet check; about half an hour on two cores
	$(BIN)/runvet-lab trajectories judge --out $(or $(OUT),build/lab-trajectories)

lab-panoramas: $(VENV)/dev  ## every configuration of the panorama lab, run for real and judged
	$(BIN)/runvet-lab panoramas judge --out $(or $(OUT),build/lab-panoramas)

bench: $(VENV)/dev  ## speed against named peers, into benchmarks/RESULTS.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/bench_samples.py

stress: $(VENV)/dev  ## checkpoints against kills and full disks in full counts, figures into docs/reliability.md
	$(BIN)/python tools/stress.py

format: $(VENV)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
