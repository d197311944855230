# The commands of the course. Each makes what it needs, from a fresh copy: Python 3.11 to 3.13,
# make and a package registry are enough. Lines that begin with two signs are what `make` prints.
#
## make lab      open the course in JupyterLab            PORT=8888   the port to use
##                                                        PROJECTOR=1 larger letters and figures
## make test     run the unit tests and every notebook    OFFLINE=1   without a network (Linux)
## make test-browser   every notebook and every live figure, in Chromium
##                                                        LESSONS=3   three a day, in turn
## make test-backends  losses, heads and models on TensorFlow, JAX and PyTorch
##                                                        BACKENDS="jax torch"   on these
## make render   execute notebooks, store their outputs   NB=notebooks/01_softmax.ipynb
## make pictures draw the pictures in notebooks/images
## make results  train the recorded runs                  FULL=1      on all of MNIST
## make data     fetch all of MNIST to data/
## make seeds    list the claims that fail with them    SEEDS="11 12" NB=notebooks/01_softmax.ipynb
## make distributed  train by several processes           PROCESSES=4
## make bench    measure the speed of the losses          SAVE=1      keep it for the README
## make versions run the tests with other releases         PACKAGES=oldest   or newest
## make slides   slides and handouts, to build/           NB=notebooks/01_softmax.ipynb OUT=build
## make site     the course as a website, to build/site  OUT=build/site
## make grade    check a folder of handed-in notebooks    DIR=handed-in CSV=grades.csv TIMEOUT=60
## make bundle   pack everything for a USB stick, to dist/  PLATFORM="windows-3.12 macos-3.12" OUT=dist/usb
## make lint     check the style of the code
## make lock     resolve the lists of packages again      UPGRADE=1   to the newest
## make clean    delete the environment, caches, build/ and dist/
##
## Everywhere:   VENV=.venv           the folder of the environment
##               PYTHON=python3.12    the Python to make it with

VENV ?= .venv
PYTHON ?=
PORT ?=
PROJECTOR ?=
NB ?=
FULL ?=
SEEDS ?= 11 12 13
PROCESSES ?= 2
OFFLINE ?=
UPGRADE ?=
DIR ?=
CSV ?=
TIMEOUT ?=
PLATFORM ?=
OUT ?=
PACKAGES ?= oldest
SAVE ?=
BACKENDS ?= tensorflow jax torch

PY = "$(VENV)/bin/python"
PYTEST = $(PY) -m pytest --durations=0 --durations-min=1

# The first Python that suits, or one that says what is wrong. Each is really started: a version
# manager leaves commands behind that only print an error.
SUITS = import sys; from lib.tools import bootstrap; sys.exit(bootstrap.unfit())
ANY_PYTHON = $(or $(PYTHON),$(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -B -c '$(SUITS)' 2>/dev/null && echo $$p && exit; done; echo python3))
BOOTSTRAP = @python="$(ANY_PYTHON)"; if ! command -v "$$python" >/dev/null; then \
	echo "Python is not installed, or not on the PATH: install Python 3.11 to 3.13." >&2; exit 1; \
	fi; "$$python" -m lib.tools.bootstrap $(if $(PYTHON),--this-python)

# Nothing that runs here writes into the checkout, unless that is its purpose.
export PYTHONDONTWRITEBYTECODE = 1
unexport PYTHONHOME PYTHONPATH PYTHONSAFEPATH

.NOTPARALLEL:
.PHONY: help environment environment-site environment-tests environment-lint lab test test-browser test-backends render pictures results data seeds distributed bench versions slides site grade bundle lint lock clean

help:
	@sed -n 's/^##\( \|$$\)//p' Makefile

# What is installed is one of the lists of bootstrap.py, or several.
environment:
	$(BOOTSTRAP) "$(VENV)" lessons
environment-site:
	$(BOOTSTRAP) "$(VENV)" lessons site
environment-tests:
	$(BOOTSTRAP) "$(VENV)" lessons tests
environment-lint:
	$(BOOTSTRAP) "$(VENV)" lint

lab: environment
	@exec $(PY) -m lib.tools.lab $(if $(PORT),--port "$(PORT)") \
		$(if $(filter 1,$(PROJECTOR)),--projector)

# Two unit tests at a time; then, even if one of those failed, two notebooks, with the rules that
# each keeps as a file: one alone leaves much of the second core idle. A cell fails that takes more
# than ten minutes.
BOOKS = tests/test_notebooks.py
TEST = $(if $(filter 1,$(OFFLINE)),$(PY) -m lib.tools.offline) $(PYTEST) --numprocesses=2
test: environment-tests
	failed=0; \
	$(TEST) --dist=loadfile --ignore=$(BOOKS) tests || failed=1; \
	$(TEST) --maxschedchunk=1 --nbmake --nbmake-timeout=600 $(BOOKS) notebooks && exit $$failed

# What is marked so holds on every backend. PyTorch is large and nothing else here needs it: it has
# a folder of its own in the environment. That folder comes first where modules are looked for, so
# what ONNX needs itself (NumPy, protobuf) is left out: TensorFlow has brought it.
TORCH = $(VENV)/torch
INTO_TORCH = --target "$(TORCH)" --requirement tests/requirements-torch.txt
ONNX_INTO_TORCH = --no-deps --target "$(TORCH)" --requirement tests/requirements-onnx.txt
$(TORCH)/whole: tests/requirements-torch.txt tests/requirements-onnx.txt | environment-tests
	rm -rf "$(TORCH)"
	$(PY) -m uv pip install --quiet --compile-bytecode --torch-backend cpu $(INTO_TORCH) || \
		$(PY) -m pip install --quiet $(INTO_TORCH)
	$(PY) -m uv pip install --quiet --compile-bytecode $(ONNX_INTO_TORCH) || \
		$(PY) -m pip install --quiet $(ONNX_INTO_TORCH)
	touch $@
BACKENDS_TESTS = $(shell grep -l mark.backends tests/test_*.py)
test-backends: environment-tests $(if $(filter torch,$(BACKENDS)),$(TORCH)/whole)
	failed=0; for backend in $(BACKENDS); do \
		not=; test $$backend = tensorflow || not=" and not tensorflow"; \
		KERAS_BACKEND=$$backend PYTHONPATH="$(TORCH)" $(TEST) --dist=loadfile \
			-m "backends$$not" $(BACKENDS_TESTS) || failed=1; \
	done; exit $$failed

test-browser: environment-tests
	$(PYTEST) tests/browser

render: environment
	@$(PY) -m lib.tools.render $(NB)

pictures: environment
	@$(PY) -m lib.tools.pictures

results: environment
	COURSE_MODE=$(if $(filter 1,$(FULL)),full,lesson) $(PY) -m lib.records.results
	@$(PY) -m lib.tools.tables

data: environment
	@$(PY) -m lib.data

seeds: environment
	@$(PY) -m lib.tools.seeds $(SEEDS) $(if $(NB),--lessons $(NB))

# By JAX, through Keras.
distributed: environment
	@$(PY) -m lib.distributed $(PROCESSES)

# On each backend that is there: PyTorch after `make test-backends`.
bench: environment
	@PYTHONPATH="$(TORCH)" $(PY) tests/bench.py $(if $(filter 1,$(SAVE)),--save)
	@$(if $(filter 1,$(SAVE)),$(PY) -m lib.tools.tables)

# In an environment of its own, deleted at the end: releases by the lists, not by the locks.
RESOLUTION_oldest = lowest-direct
RESOLUTION_newest = highest
RESOLUTION = $(or $(RESOLUTION_$(PACKAGES)),$(error PACKAGES=$(PACKAGES) is neither oldest nor newest))
versions: environment
	folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && $(PY) -m venv "$$folder" && \
	$(PY) -m uv pip install --python "$$folder/bin/python" --compile-bytecode \
		--resolution $(RESOLUTION) -r requirements.txt -r tests/requirements.txt && \
	"$$folder/bin/python" -m pytest --nbmake tests notebooks

slides: environment
	@$(PY) -m lib.tools.slides $(if $(OUT),--output "$(OUT)") $(NB)

# From the stored outputs of the notebooks; without a network.
site: environment-site
	@$(PY) -m lib.tools.site $(if $(OUT),--output "$(OUT)")

grade: environment
	@$(PY) -m lib.tools.grade "$(DIR)" $(if $(CSV),--csv "$(CSV)") $(if $(TIMEOUT),--timeout $(TIMEOUT))

bundle: environment
	@$(PY) -m lib.tools.bundle $(if $(OUT),--output "$(OUT)") $(PLATFORM)

lint: environment-lint
	$(PY) -m ruff check --no-cache .
	$(PY) -m ruff format --check --no-cache .

# For all systems and Pythons of the course. What is locked already stays where it still fits.
LOCK = $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" $(if $(filter 1,$(UPGRADE)),--upgrade)
lock: environment
	$(LOCK) requirements.txt --output-file requirements.lock >/dev/null
	$(LOCK) lib/tools/site/requirements.txt --constraints requirements.lock \
		--output-file lib/tools/site/requirements.lock >/dev/null
	$(LOCK) tests/requirements.txt --constraints requirements.lock \
		--constraints lib/tools/site/requirements.lock \
		--output-file tests/requirements.lock >/dev/null

# Another environment than one that bootstrap.py made, as its stamp says, is left alone.
CACHES = __pycache__ .ipynb_checkpoints .pytest_cache .ruff_cache .hypothesis
clean:
	@if grep -qs '"created": true' "$(VENV)/course-environment.json"; then \
		rm -rf "$(VENV)" && echo "Deleted $(VENV)"; \
	elif [ -e "$(VENV)" ]; then echo "Left alone: $(VENV) was not made by this course."; fi
	@rm -rf build dist
	@find . -type d \( -name .git -o -exec test -e '{}/pyvenv.cfg' \; \) -prune \
		-o -type d \( $(patsubst %,-name % -o,$(CACHES)) -false \) -prune -exec rm -rf '{}' +
