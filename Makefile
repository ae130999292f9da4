# Everything a developer does here is one word. `make` alone lists the words.
.DEFAULT_GOAL := help
.PHONY: help demo test image-test soak lint format bench pictures api-docs docs scan requirements clean

# The system's Python where it will do: what pyenv and others compile without its optimizations takes a quarter longer for everything.
PYTHON ?= $(shell /usr/bin/python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo /usr/bin/python3 || echo python3)
# Hundreds of processes start in a run of the tests: none of them should compile our code anew.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
RUN := $(VENV)/bin/python
TESTS ?= tests
ONLY ?=
ARGUMENTS ?=

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## Run the whole product on this machine: http://localhost:8000
	@exec $(RUN) -W "ignore:XDG_RUNTIME_DIR is not set" -m deploy.demo

test: $(VENV)/.installed ## Run every test (TESTS=tests/unit for a part)
	@$(RUN) -m pytest -n 5 --dist worksteal $(TESTS)

image-test: $(VENV)/.installed ## Build the image upon Debian's packages and run every role in it (needs root, podman, runc, mmdebstrap); takes minutes
	@mkdir -p .data
	@test -f .data/image-base.tar || deploy/image/debian-base.sh .data/image-base.tar
	@REPLYCO_IMAGE_BASE=.data/image-base.tar $(RUN) -m pytest tests/integration/packaging/test_built_image.py

soak: $(VENV)/.installed ## Run the fault and fuzz tests for long (ONLY=kills for a part); goes on where it was broken off
	@$(RUN) -W "ignore:XDG_RUNTIME_DIR is not set" -m tests.soak $(ONLY)

lint: $(VENV)/.installed ## Run ruff, mypy, import-linter and the migration check
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy
	@$(VENV)/bin/lint-imports
	@$(RUN) -m pytest -q --durations=0 --no-header -p no:cacheprovider tests/integration/test_migrations.py

format: $(VENV)/.installed ## Put the code into form
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

bench: $(VENV)/.installed ## Measure (ONLY=accept for one subject: accept, accept_one_core, fairness, memory, orders, pages, purge, refresh, report, rest, scale, visible); appends to bench-results.jsonl
	@$(RUN) -W "ignore:XDG_RUNTIME_DIR is not set" -m tests.bench $(ONLY)

pictures: $(VENV)/.installed ## Take a picture of every page into pictures/, and the README's
	@$(RUN) -W "ignore:XDG_RUNTIME_DIR is not set" -m tests.pictures pictures

api-docs: $(VENV)/.installed ## Write the generated pages anew: docs/openapi.json, docs/problems.md, docs/privacy.md, docs/compliance.md, docs/licences.md and docs/operations/settings.md
	@$(RUN) -m services.connector openapi > docs/openapi.json
	@$(RUN) -m services.connector problems > docs/problems.md
	@$(RUN) -m services.connector privacy rules > docs/privacy.md
	@$(RUN) -m services.connector compliance --page > docs/compliance.md
	@$(RUN) -m deploy.dependencies.licences > docs/licences.md
	@($(RUN) -m services.connector settings && $(RUN) -m services.mailrelay settings) > docs/operations/settings.md

docs: $(VENV)/.installed ## Make these documents a site in site/, to be opened from there; a link that leads nowhere is an error
	@$(RUN) -m sphinx -q -W --keep-going -j auto -c docs -d .data/doctrees . site
	@echo "site/index.html"

scan: $(VENV)/.installed ## Ask whether vulnerabilities of the pinned packages are known; says so where nobody can be asked
	@$(RUN) -m deploy.dependencies.vulnerabilities $(ARGUMENTS)

requirements: $(VENV)/.installed ## Compile the pinned requirements anew from pyproject.toml
	@$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--upgrade --extra development --extra tracing pyproject.toml -o requirements-development.txt
	@$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--upgrade -c requirements-development.txt pyproject.toml -o requirements.txt
	@$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--upgrade -c requirements-development.txt --extra tracing pyproject.toml -o requirements-tracing.txt

clean: ## Remove the environment, the demo's data and what was compiled
	@rm -rf $(VENV) .data .mypy_cache .ruff_cache .pytest_cache .hypothesis test-artifacts site
	@find deploy migrations services shared tests -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.installed: requirements-development.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with make PYTHON=python3.12 …"; exit 1; }
	@echo "Installing into $(VENV) …"
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing (Debian: apt-get install python3-venv)."; exit 1; }
	@$(RUN) -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-development.txt
	@touch $@
