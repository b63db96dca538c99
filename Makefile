# Two commands do everything: `make demo` shows what backfire finds, `make test` runs its tests.
# Both install what they need into .venv first, and skip that when nothing changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements.lock
DEMO := runs/demo

DEMO_EXTRAS := train,eval,api,plots
DEMO_INSTALLED := $(VENV)/.installed-demo
DEMO_REAL_INSTALLED := $(VENV)/.installed-demo-real
DEV_EXTRAS := $(DEMO_EXTRAS),gcg,gguf,inspect,docs,dev
DEV_INSTALLED := $(VENV)/.installed-dev

# Test workers share the cores: one thread each, and none that spins while it waits.
export OMP_WAIT_POLICY := PASSIVE
export TOKENIZERS_PARALLELISM := false
WORKERS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --quiet -c $(LOCK)

# These ask for a model of real size: python benchmarks/real_speed.py MODEL
OF_A_MODEL := $(addprefix benchmarks/,generation.py predictors.py real_speed.py watch_cost.py)

.PHONY: help demo demo-real test test-all torture check docs format bench lock clean

help:
	@echo "make demo      install, run the demo study into $(DEMO), say where the page is"
	@echo "make demo-real the commands on a real model of 135M parameters, which is fetched (100 MB): about 10 minutes"
	@echo "make test      install, run the fast tests"
	@echo "make test-all  the slow tests too"
	@echo "make torture   kills, a faulty server, unsound files, hostile checkpoints, full disks: one table, about 20 minutes"
	@echo "make check     format, lint, strict types, import rules, the pages and their site"
	@echo "make docs      the documentation site, in build/site; a warning is an error"
	@echo "make format    what 'make check' asks for, as far as ruff can do it"
	@echo "make bench     every benchmark, as one table"
	@echo "make lock      resolve $(LOCK) anew"
	@echo "make clean     remove caches and builds (not .venv, not runs/)"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "backfire needs Python 3.11 or newer, and '$(PYTHON)' is older: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(DEMO_INSTALLED): pyproject.toml $(LOCK) | $(BIN)/python
	@echo "Installing backfire[$(DEMO_EXTRAS)] into $(VENV): about 2 GB, a minute or two"
	$(INSTALL) -e '.[$(DEMO_EXTRAS)]'
	@touch $@

$(DEV_INSTALLED): pyproject.toml $(LOCK) | $(BIN)/python
	@echo "Installing backfire[$(DEV_EXTRAS)] into $(VENV): about 2 GB, a minute or two"
	$(INSTALL) -e '.[$(DEV_EXTRAS)]'
	@touch $(DEMO_INSTALLED) $(DEMO_REAL_INSTALLED) $@

$(DEMO_REAL_INSTALLED): $(DEMO_INSTALLED)
	$(INSTALL) -e '.[$(DEMO_EXTRAS),gguf]'
	@touch $@

demo: $(DEMO_INSTALLED)
	$(BIN)/backfire demo --out $(DEMO)

demo-real: $(DEMO_REAL_INSTALLED)
	$(BIN)/python scripts/demo_real.py

test: $(DEV_INSTALLED)
	$(PYTEST) -m 'not slow'

test-all: $(DEV_INSTALLED)
	$(PYTEST)

# TIMES=10 does everything ten times as often; docs/reliability.md has the figures.
TIMES ?= 1
torture: $(DEV_INSTALLED)
	cd tests && OMP_NUM_THREADS=1 ../$(BIN)/python -m torture --times $(TIMES)

check: $(DEV_INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/test_house.py tests/test_docs.py tests/test_readme.py tests/cli/test_cli_docs.py
	$(MAKE) docs

# A broken link, a reference to nothing, or a page that the navigation lacks is a warning, and a warning is an error.
docs: $(DEV_INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet -d build/site-cache docs build/site
	@echo "The site: build/site/index.html"

format: $(DEV_INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEV_INSTALLED)
	@echo "| what | on | side by side | rate |"
	@echo "|-|-|-|-|"
	@for file in $(filter-out $(OF_A_MODEL),$(wildcard benchmarks/*.py)); do $(BIN)/python $$file 2>/dev/null || { echo "failed: $(BIN)/python $$file" >&2; exit 1; }; done

# The torch pin is kept by hand: a fresh resolution would take whatever is newest that day. Local versions (+cpu) and
# the CUDA packages that torch asks for on Linux are left out, so that every platform gets its usual build of it.
lock:
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	grep '^torch==' $(LOCK) > build/torch.txt
	build/lock/bin/python -m pip install --disable-pip-version-check --quiet -c build/torch.txt '.[$(DEV_EXTRAS),deepspeed]'
	{ echo "# What 'make demo' and 'make test' install, by 'make lock'. Used as pip's constraints file (-c)."; \
	  build/lock/bin/python -m pip freeze --exclude backfire \
	  | grep -v -i -E '^(nvidia-|cuda-|triton)' | sed -E 's/^([^=]+==[^+]+)\+.*$$/\1/'; } > $(LOCK).new
	mv $(LOCK).new $(LOCK)
	rm -rf build/lock build/torch.txt

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +
