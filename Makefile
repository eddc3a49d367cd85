# Everything starts here: `make` lists what there is.
# PYTHON chooses the interpreter of the virtual environment; settings are environment variables (docs/configuration.md).

.DEFAULT_GOAL := help
.PHONY: help setup run test check format bench bench-compare lock clean

BIN := .venv/bin
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock"
WEB := $(BIN)/python -m deploy.local.web

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv, install the locked dependencies and build the web page (run, test and check do it by themselves)
	@PYTHON=$(PYTHON) deploy/local/setup.sh
	@$(WEB)

# exec: signals reach the launcher itself, which stops everything in order; Ctrl-C is a normal end, not an error.
run: setup ## start RabbitMQ, MongoDB and every service; Ctrl-C stops them
	@exec $(BIN)/python -m deploy.local.run

test: setup ## run all tests; ARGS="-k join tests/unit" chooses among those of pytest
	@$(if $(ARGS),,$(WEB) npm test)
	@$(WEB) browser
	@$(BIN)/pytest $(ARGS)

check: setup ## formatting, lint, types, who imports whom, generated schemas
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m contracts.generate --check
	$(WEB) npm run check

format: setup ## format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(WEB) npm run format

bench: setup ## measure Palabre, of `make run` or started for this; ARGS="--help" lists the measurements
	@$(BIN)/python -m bench $(ARGS)

bench-compare: setup ## measure Palabre beside a Node server of the same purpose; ARGS="--help" lists the choices
	@$(BIN)/python -m bench.compare $(ARGS)

lock: setup ## resolve pyproject.toml again into the four locks; ARGS="--upgrade" takes the newest versions
	$(COMPILE) $(ARGS) pyproject.toml --output-file requirements.lock
	$(COMPILE) $(ARGS) pyproject.toml --group dev --constraint requirements.lock --output-file requirements-dev.lock
	$(COMPILE) $(ARGS) --group node --output-file requirements-node.lock
	$(COMPILE) $(ARGS) --group profile --output-file requirements-profile.lock

clean: ## remove what was made: .venv, caches, and .run with its conversations
	rm -rf .venv .run .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	rm -rf web/node_modules web/dist web/dist-lib bench/peers/seed/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
