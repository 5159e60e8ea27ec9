# make xor: watch a network learn XOR.   make test: run the tests.
# Both set themselves up in .venv first; PYTHON=python3.12 chooses another Python.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: xor test check docs homes faults mutants fuzz peers clean

xor: .venv/ready-bench
	$(BIN)/python -m bench xor --gif --out out

test: .venv/ready-test
	$(BIN)/python -m pytest -n 2

# formatting, lint and strict types
check: .venv/ready-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# the site, in docs/_build/html: its pages run, and a warning is an error
docs: .venv/ready-docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --jobs 2 docs docs/_build/html

# the knobs in a real browser, window and notebook; needs chromium, chromium-driver, xvfb,
# xdotool and x11-apps
homes: .venv/ready-homes
	$(BIN)/python -m pytest tests/homes/in_browser.py tests/homes/in_window.py tests/homes/in_notebook.py

# plant faults by hand, one at a time: each must make a test fail
faults: .venv/ready-test
	$(BIN)/python tests/mutants

# and by a tool, everywhere in the layers, losses, optimizers and the network
mutants: .venv/ready-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check mutmut==3.8.1
	rm -rf mutants
	$(BIN)/mutmut run
	$(BIN)/python tests/mutants/survivors.py

fuzz: .venv/ready-test
	$(BIN)/python tests/fuzz_files.py 100000

peers: .venv-peers/ready
	.venv-peers/bin/python -m bench.peers

clean:
	rm -rf .venv .venv-peers out build dist docs/_build minnet.egg-info mutants

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "minnet needs Python 3.11 or newer; set PYTHON=python3.x" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
		{ rm -rf .venv; echo "Python's venv module is missing: on Debian, apt install python3-venv" >&2; exit 1; }

.venv/ready-bench: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

.venv/ready-docs: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench,docs]'
	@touch $@

.venv/ready-homes: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench,test,homes]'
	@touch $@

.venv-peers/ready: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check \
		--editable . jax scikit-learn thinc micrograd numba dill
	@touch $@

.venv/ready-test: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench,test]'
	@touch $@
