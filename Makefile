# Every target makes what it needs: a virtual environment in the checkout, and the package installed in it.
PYTHONS := python3 python3.14 python3.13 python3.12 python3.11
VENV := .venv
BIN := $(VENV)/bin
IS_NEW_ENOUGH := import sys; raise SystemExit(sys.version_info < (3, 11))

.PHONY: demo test all lint types format clean

demo: $(VENV)/.installed
	$(BIN)/rlm demo

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

all: format lint types test

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/basedpyright

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .

clean:
	rm -rf $(VENV) build dist *.egg-info

$(BIN)/pip:
	@for python in $(PYTHON) $(PYTHONS); do \
		if "$$python" -c '$(IS_NEW_ENOUGH)' 2>/dev/null; then \
			"$$python" -m venv $(VENV) && exit 0; \
			echo "$$python cannot make a virtual environment: install its venv module (on Debian, python3-venv)." >&2; \
			exit 1; \
		fi; \
	done; \
	echo "No Python 3.11 or newer was found: install one, or name it with 'make PYTHON=/path/to/python'." >&2; \
	exit 1

$(VENV)/.installed: pyproject.toml | $(BIN)/pip
	@echo "Installing rlm-module in $(VENV), which takes about a minute the first time." >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/pip
	@echo "Installing rlm-module and its tools in $(VENV), which takes a minute or two the first time." >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.installed
