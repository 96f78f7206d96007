# psmflow: what you can do here. `make` lists it.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
PORT   ?= 8000
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help run bench faults fuzz test check lint types imports tests mutants browser rehearse format lock clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

run: $(VENV)/.run ## set up, deploy processes/ and serve http://127.0.0.1:8000 with demo users
	$(BIN)/psmflow serve --demo --port $(PORT) --processes processes

test: check tests ## everything that CI asks for: lint, types, import rules, all tests

check: lint types imports ## lint, types, import rules

lint: $(VENV)/.test
	$(BIN)/ruff check .

types: $(VENV)/.test
	$(BIN)/mypy

imports: $(VENV)/.test
	$(BIN)/lint-imports

tests: $(VENV)/.test ## all tests (ARGS="-k word" for some)
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

mutants: $(VENV)/.test ## put every deliberate fault into the core and see that a test notices it (ARGS="join" for some)
	$(BIN)/python -m tests.mutants $(ARGS)

bench: $(VENV)/.test ## measure everything beside plain SpiffWorkflow and a hand-written floor: bench/RESULTS.md (ARGS="--only w1 --quick")
	$(BIN)/python -m bench $(ARGS)

faults: $(VENV)/.test ## kill servers, workers and PostgreSQL at random moments and count what is lost: bench/FAULTS.md (KILLS=50)
	$(BIN)/python -m tests.faults --kills $(or $(KILLS),50) $(ARGS)

fuzz: $(VENV)/.run ## ten minutes of coverage-guided fuzzing of FEEL (SECONDS=600)
	$(BIN)/python -m pip install -q --require-hashes -r requirements-fuzz.txt
	$(BIN)/python -m tests.feel.fuzz var/fuzz/feel -max_total_time=$(or $(SECONDS),600) -artifact_prefix=var/fuzz/

browser: $(VENV)/.test ## the tests that drive a real browser
	$(BIN)/python -m pytest -m browser $(ARGS)

rehearse: $(VENV)/.run ## run every scenario of every process
	$(BIN)/psmflow rehearse processes

format: $(VENV)/.test ## mend what can be mended by itself
	$(BIN)/ruff check --fix .

lock: ## lock the dependencies anew, with hashes (needs uv)
	uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links requirements.in -o requirements.txt
	uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links requirements-test.in -o requirements-test.txt
	uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links requirements-fuzz.in -o requirements-fuzz.txt

clean: ## remove the virtual environment and caches; data in var/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "psmflow needs Python 3.11 or newer; name it: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); virtualenv -q -p $(PYTHON) $(VENV); } || { rm -rf $(VENV); \
	  echo "This Python cannot make virtual environments. On Debian or Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/.run: requirements.txt setup.cfg | $(BIN)/python
	$(BIN)/python -m pip install -q --require-hashes -r requirements.txt
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(VENV)/.test: requirements-test.txt $(VENV)/.run
	$(BIN)/python -m pip install -q --require-hashes -r requirements-test.txt
	@touch $@
