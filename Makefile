# Each target sets up what it needs. PYTHON chooses the interpreter: make PYTHON=python3.12 test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLER ?= $(BIN)/python -m pip install --quiet
SCATTER := $(VENV)/torch-scatter
DEMO := runs/demo
DEMO_DATA := runs/demo-data

.PHONY: demo test test-slow test-all test-scatter test-gpu benchmark-gpu install lint docs wheel clean

# Python keeps what it has compiled, even where the shell forbids it: else each of a hundred
# processes compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

demo: $(VENV)/.installed-report,weights $(DEMO_DATA)/benchmark.json
	$(BIN)/stgcn train mars $(DEMO_DATA) --preset finetune --output $(DEMO)
	$(BIN)/stgcn report $(DEMO)

$(DEMO_DATA)/benchmark.json: | $(VENV)/.installed-report,weights
	rm -rf $(DEMO_DATA)
	$(BIN)/stgcn synth $(DEMO_DATA) --workers 2 --train-people 32 --test-people 20 --cameras 4 \
	    --tracklets-per-camera 2 --frames '[6,10]' --look-alikes 2 --occlusion 0.1 --clutter 0.2 \
	    --distractors 24 --junk 12

# Two workers on two cores: more threads would wait for each other. The files are taken in their
# order, which ends with those that take moments, so that no worker waits long for the other.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
test test-slow test-all test-scatter docs: export OMP_NUM_THREADS = 1

test: $(VENV)/.installed-test
	$(PYTEST) -m "not slow" --ignore tests/pages

# What `make test` leaves out: processes that are killed, other processors' kernels, whole tables.
test-slow: $(VENV)/.installed-test
	$(PYTEST) -m slow

# Both at once: what several tests use is made once.
test-all: $(VENV)/.installed-test
	$(PYTEST) --ignore tests/pages

# The layers once more with torch-scatter, which is built beside the environment, not into it.
test-scatter: $(SCATTER)/.installed $(VENV)/.installed-test
	PYTHONPATH=$(SCATTER) $(BIN)/python -m pytest -n 2 -m "not slow" tests/layers stgcn_pyg/layers

# What needs a GPU; all other tests see none.
test-gpu: $(VENV)/.installed-test
	STGCN_TEST_DEVICE=cuda $(BIN)/python -m pytest tests/test_on_a_gpu.py tests/test_commands_on_a_gpu.py

# What only a GPU shows, in figures; run again it goes on.
benchmark-gpu: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks gpu

install: $(VENV)/.installed-all

lint: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The pages are built, and what they show is run.
docs: $(VENV)/.installed-docs $(VENV)/.installed-test
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	$(PYTEST) tests/pages docs/tour.ipynb

wheel: $(VENV)/.installed
	rm -rf build dist
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

$(VENV)/.installed: setup.cfg setup.py pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(INSTALLER) --editable .
	touch $@

# Extras of setup.cfg: report and weights for the demo, test, docs, ...
$(VENV)/.installed-%: $(VENV)/.installed setup.cfg
	$(INSTALLER) --editable ".[$*]"
	touch $@

$(SCATTER)/.installed: $(VENV)/.installed
	mkdir -p $(SCATTER)
	printf '[build_ext]\nparallel = 2\n' > $(SCATTER)/two-at-once.cfg
	DIST_EXTRA_CONFIG="$(abspath $(SCATTER))/two-at-once.cfg" $(BIN)/python -m pip install --quiet \
	    --no-build-isolation --no-cache-dir --no-deps --target $(SCATTER) "torch-scatter>=2.1.2"
	PYTHONPATH=$(SCATTER) $(BIN)/python -W ignore -c \
	    "from torch_geometric.typing import WITH_TORCH_SCATTER as built; assert built"
	touch $@

clean:
	rm -rf $(VENV) build dist docs/_build runs *.egg-info
