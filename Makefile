# make xor: watch a network learn XOR.   make test: run the tests.
# Both set themselves up in .venv first; PYTHON=python3.12 chooses another Python.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: xor test check clean

xor: .venv/ready-bench
	$(BIN)/python -m bench xor --gif --out out

test: .venv/ready-test
	$(BIN)/python -m pytest -n 2

# formatting, lint and strict types
check: .venv/ready-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf .venv out build dist minnet.egg-info

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "minnet needs Python 3.11 or newer; set PYTHON=python3.x" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
		{ rm -rf .venv; echo "Python's venv module is missing: on Debian, apt install python3-venv" >&2; exit 1; }

.venv/ready-bench: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

.venv/ready-test: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench,test]'
	@touch $@
