# Each target sets up what it needs. PYTHON chooses the interpreter: make PYTHON=python3.12 test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo
DEMO_DATA := runs/demo-data

.PHONY: demo test install lint wheel clean

demo: $(VENV)/.installed $(DEMO_DATA)/benchmark.json
	$(BIN)/stgcn train mars $(DEMO_DATA) --preset demo --output $(DEMO)

$(DEMO_DATA)/benchmark.json: | $(VENV)/.installed
	rm -rf $(DEMO_DATA)
	$(BIN)/stgcn synth $(DEMO_DATA) --workers 2 --train-people 32 --test-people 20 --cameras 4 \
	    --tracklets-per-camera 2 --frames [6,10] --look-alikes 2 --occlusion 0.1 --clutter 0.2 \
	    --distractors 24 --junk 12

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest

install: $(VENV)/.installed

lint: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

wheel: $(VENV)/.installed
	rm -rf build dist
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

$(VENV)/.installed: setup.cfg setup.py pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed setup.cfg
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@

clean:
	rm -rf $(VENV) build dist runs *.egg-info
