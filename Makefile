# make demo    a project with the default answers in scratch/parcel-eta, and `ml demo` run in it
# make test    the fast tests of the template; `make help` lists the rest
#
# Needs python3 (3.11 or newer) with pip, git and make. Where there is no uv, pip brings it along into .tools/.

PYTHON ?= python3
UV_VERSION := 0.13.8
DEMO := scratch/parcel-eta
TESTS := tests
WORKFLOWS := .github {{cookiecutter.project_slug}}/.github

# Not `command -v`: a shim that leads nowhere is on the path too.
UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo $(CURDIR)/.tools/bin/uv)
RUN := $(UV) run --locked
unexport VIRTUAL_ENV

.PHONY: help demo test test-slow test-all check golden lock bump bench bench-gate bench-daily bench-serving bench-monitoring

help:
	@echo "make demo       generate a project in $(DEMO) and run its demo"
	@echo "make test       the fast tests"
	@echo "make test-slow  the tests that install, train and serve"
	@echo "make test-all   both"
	@echo "make check      lint, format, types, workflows"
	@echo "make golden     accept the files that a project now has (tests/expected_files.txt)"
	@echo "make lock       lock again after an edit of a pyproject.toml"
	@echo "make bench      one row through a generated project, side by side with pandas; writes docs/benchmarks.md"
	@echo "make bench-gate how often the gate is wrong, beside a fixed tolerance; writes there too (3 minutes)"
	@echo "make bench-daily  a day of 5 million rows, and a check beside a bare read; writes there too (10 minutes)"
	@echo "make bench-serving  the server beside MLflow's, BentoML, LitServe, MLServer, FastAPI; writes there too (15 minutes)"
	@echo "make bench-monitoring  the monitor's false alarms beside Evidently's and NannyML's; writes there too (25 minutes)"
	@echo "make bump       move every pin to the newest release that is a week old"

demo: | $(UV)
	@rm -rf $(DEMO)
	@$(RUN) --quiet cookiecutter --no-input --default-config --output-dir $(dir $(DEMO)) . >/dev/null
	@cd $(DEMO) && $(UV) run --locked --quiet ml demo
	@echo
	@echo "The project is in $(DEMO)"

test: | $(UV)
	$(RUN) pytest -n auto --dist loadgroup $(TESTS)

test-slow: | $(UV)
	$(RUN) pytest -n auto --dist loadgroup -m slow $(TESTS)

test-all: | $(UV)
	$(RUN) pytest -n auto --dist loadgroup --durations 15 -m "" $(TESTS)

check: | $(UV)
	$(UV) lock --check
	$(RUN) ruff check benchmarks hooks scripts tests tests/stand_ins/*
	$(RUN) ruff format --check benchmarks hooks scripts tests tests/stand_ins/*
	$(RUN) pyrefly check
	$(RUN) zizmor --offline --quiet $(foreach folder,$(WORKFLOWS),'$(folder)')

golden: | $(UV)
	$(RUN) pytest tests/test_render.py -k expected --refresh

lock: | $(UV)
	$(UV) lock --quiet
	$(RUN) python scripts/bump.py --no-upgrade

bench: | $(UV)
	$(RUN) python benchmarks/one_row/run.py
	@echo "make bench-gate measures the gate, make bench-daily the daily run, make bench-serving the server, make bench-monitoring the monitor"

bench-gate: | $(UV)
	$(RUN) python benchmarks/gate/run.py

bench-daily: | $(UV)
	$(RUN) python benchmarks/daily/run.py

bench-serving: | $(UV)
	$(RUN) python benchmarks/serving/run.py

bench-monitoring: | $(UV)
	$(RUN) python benchmarks/monitoring/run.py

bump: | $(UV)
	$(RUN) python scripts/bump.py $(BUMP)

# `--target` and not a virtual environment: some systems ship python3 without venv.
$(CURDIR)/.tools/bin/uv:
	@echo "bringing uv $(UV_VERSION) along in .tools/"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target .tools uv==$(UV_VERSION)

# The uv on the path: nothing to bring.
uv:
	@true
