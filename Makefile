# make demo and make test need nothing but Python 3.11-3.13 and make. Another interpreter: make setup PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: help setup demo test lint format docs wheels clean

help:
	@echo "make setup   the virtual environment .venv with the pinned dependencies"
	@echo "make demo    compare a few estimators on built-in data and write a report (outputs/quickstart)"
	@echo "make test    lint, types and every test; those that need a GPU are skipped where there is none"
	@echo "make lint    lint and types alone"
	@echo "make format  rewrite the files as ruff formats them"
	@echo "make docs    write the generated pages anew: estimators, columns, configuration, errors, kl, api, published"
	@echo "make wheels  into .wheels what a machine with a GPU and no network may lack: docs/gpu.md"
	@echo "make clean   remove what the tools left behind; keeps outputs and .venv"

setup: $(STAMP)

# Done once, and again when what is to be installed changes.
$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/pip || $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "$(PYTHON) is not Python 3.11, 3.12 or 3.13; name one that is: make PYTHON=python3.12" >&2; exit 2; }
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

demo: setup
	$(BIN)/python -m bench experiment=quickstart hydra/launcher=pool
	$(BIN)/python -m bench.report outputs/quickstart

# One thread a worker: with more, the workers fight for the cores. Eight workers at most, for the memory.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 8

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Each page beside its place first, so that a command that fails leaves the old one.
define page
$(BIN)/python -m $(1) > docs/.$(2).part && mv docs/.$(2).part docs/$(2).md
endef

docs: setup
	$(call page,bench.list --markdown,estimators)
	$(call page,bench.tables.columns,columns)
	$(call page,bench.config.keys,configuration)
	$(call page,tests.support.bad_lines,errors)
	$(call page,tests.support.kl_forms,kl)
	$(call page,tests.support.api,api)
	$(BIN)/python -m bench.published

# Pure Python, so that these serve every interpreter; antlr4-python3-runtime is made from source.
wheels: setup
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps -c constraints.txt --wheel-dir .wheels \
		hydra-core omegaconf antlr4-python3-runtime

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find bench estimators tests -name __pycache__ -prune -exec rm -rf {} +
