# `make run` serves ExpTrack; `make help` lists the rest. Needs Python 3.11 or newer.

PYTHON ?=
VENV := .venv
IN_VENV := $(VENV)/bin/python
INSTALL := $(IN_VENV) -m pip install -qq --disable-pip-version-check --require-hashes

# Kept compiled, whatever the machine says: each of many processes would compile every test anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run demo-large test check format lock clean
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

help: ## Show what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

run: $(VENV)/runs node_modules/installed ## Install what is missing, then serve
	@exec $(IN_VENV) manage.py serve

demo-large: $(VENV)/runs ## Add an experiment of 10,000 made-up runs (ARGS="--runs 100000")
	@$(IN_VENV) manage.py migrate --verbosity 0
	@$(IN_VENV) manage.py make_demo $(ARGS)

test: $(VENV)/tests node_modules/installed ## Run every test on SQLite, then on PostgreSQL
	@.ci/chromium; .ci/redis
	@status=0; for database in sqlite postgresql; do \
	    EXPTRACK_TEST_DATABASE=$$database $(IN_VENV) -m pytest --numprocesses 4 --dist worksteal $(if $(CI),--reruns 1 --rerun-show-tracebacks) $(ARGS) || status=1; \
	done; exit $$status

check: $(VENV)/tests node_modules/installed ## Check style, migrations and production settings
	$(IN_VENV) -m ruff check .
	$(IN_VENV) -m ruff format --check .
	@.ci/check

format: $(VENV)/tests ## Put the code in our style
	$(IN_VENV) -m ruff check --fix .
	$(IN_VENV) -m ruff format .

COMPILE = .lock/bin/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
    --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host $(ARGS)

lock: $(IN_VENV) ## Pin the newest packages that requirements*.in allow (ARGS=--upgrade)
	@rm -rf .lock && $(IN_VENV) -m venv .lock && .lock/bin/python -m pip install --quiet pip-tools
	$(COMPILE) --output-file requirements.txt requirements.in
	$(COMPILE) --output-file requirements-test.txt requirements-test.in
	$(COMPILE) --output-file requirements-node.txt requirements-node.in
	@rm -rf .lock

clean: ## Remove what was installed; the data stays
	rm -rf $(VENV) node_modules .node .lock .pytest_cache .ruff_cache .hypothesis

$(IN_VENV):
	@deploy/venv $(VENV) $(PYTHON)

$(VENV)/runs: requirements.txt | $(IN_VENV)
	@echo "Installing Python packages ..."
	@$(INSTALL) --requirement requirements.txt
	@touch $@

$(VENV)/tests: requirements-test.txt $(VENV)/runs
	@echo "Installing test packages ..."
	@$(INSTALL) --requirement requirements-test.txt
	@touch $@

node_modules/installed: package.json package-lock.json | $(IN_VENV)
	@echo "Fetching browser libraries ..."
	@deploy/browser-libraries $(IN_VENV)
	@touch $@
