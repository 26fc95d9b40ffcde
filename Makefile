# Two commands for a fresh machine with Python 3.11-3.13: `make run` and `make test`.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { command -v $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
URL := http://127.0.0.1:8501

.PHONY: run test check setup setup-dev lock browser clean

# The server stays headless: otherwise Streamlit advertises its agent skills over the page, and lets the page install them. So the browser is
# opened here, where there is a screen.
run: setup
	@[ -z "$$DISPLAY$$WAYLAND_DISPLAY" ] || ( for second in 1 2 3 4 5 6 7 8 9 10; do sleep 1; \
		$(BIN)/python -c "import urllib.request; urllib.request.urlopen('$(URL)/_stcore/health')" && break; done; \
		$(BIN)/python -m webbrowser $(URL) ) >/dev/null 2>&1 &
	$(BIN)/python -m streamlit run app.py

# Most tests share the cores. What kills processes, holds time limits or measures time comes after them, alone (tests/conftest.py says what).
TOGETHER := --numprocesses auto --maxprocesses 4 --dist worksteal
test: setup-dev
	@echo "Part 1 of 2: side by side"; $(BIN)/python -m pytest -m "not alone" $(TOGETHER); together=$$?; \
	echo "Part 2 of 2: alone"; $(BIN)/python -m pytest -m alone && exit $$together

check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_walls.py

setup: $(VENV)/.installed
setup-dev: $(VENV)/.installed-dev

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Litesmith needs Python 3.11, 3.12 or 3.13; set PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@touch $@ $(VENV)/.installed

# A browser for tests/browser, where the system has none.
browser: setup-dev
	$(BIN)/python -m playwright install --with-deps chromium

# Needs uv (pip install uv). The lock holds for Python 3.11 to 3.13.
LOCK := uv pip compile --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header --quiet
lock:
	$(LOCK) requirements.in -o requirements.txt
	$(LOCK) requirements-dev.in -c requirements.txt -o requirements-dev.txt

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
