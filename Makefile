# Everything starts here: `make` lists what there is.
# PYTHON chooses the interpreter of the virtual environment; settings are environment variables (docs/configuration.md).

.DEFAULT_GOAL := help
.PHONY: help setup run test fuzz chart-test containers check format images faults soak bench bench-compare lock clean

BIN := .venv/bin
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock"
# Each of them has servers and services of its own, and is mostly waiting for them.
SIDE_BY_SIDE := --numprocesses 3 --dist loadfile
WEB := $(BIN)/python -m deploy.local.web
RABBITMQ_IMAGES ?= rabbitmq:3.13 rabbitmq:4

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
	@$(BIN)/python -m deploy.local.tools
	@$(BIN)/pytest $(or $(ARGS),$(SIDE_BY_SIDE))

chart-test: setup ## what is deployed: the chart against several Kubernetes, alerts and dashboards (part of `make test`)
	@$(BIN)/python -m deploy.local.tools
	@$(BIN)/pytest tests/deploy $(ARGS)

# The first is for all images at once; an image that the engine lacks is skipped by name.
containers: setup ## the images, and tests with servers in Docker, once with each of RABBITMQ_IMAGES; ARGS chooses among the latter
	@RABBITMQ_IMAGES="$(RABBITMQ_IMAGES)" $(BIN)/pytest tests/deploy/test_containers.py tests/e2e/test_another_rabbitmq.py
	@for image in $(RABBITMQ_IMAGES); do \
		echo "With $$image"; RABBITMQ_IMAGE=$$image $(BIN)/pytest $(or $(ARGS),tests/integration tests/e2e) || exit 1; \
	done

fuzz: setup ## many frames or calls that nobody thought of, at a running system; ARGS="--frames 1000000 --seed 1", or "--calls 500" over REST, chooses
	@$(BIN)/python -m tests.hostile.fuzz $(ARGS)

check: setup ## formatting, lint, types, who imports whom, the Dockerfile, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/python -m contracts.generate --check
	$(BIN)/python -m deploy.helm.generate --check
	$(BIN)/python -m deploy.grafana --check
	$(BIN)/python -m bench.scale --check
	$(WEB) npm run check

format: setup ## format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(WEB) npm run format

faults: setup ## break everything while people talk, and look whether anything was lost (half an hour); ARGS="--help" lists the choices
	@$(BIN)/python -m tests.faults faults $(ARGS)

soak: setup ## let people talk for 30 minutes, and look at memory too; ARGS="--minutes 5" is shorter
	@$(BIN)/python -m tests.faults soak $(ARGS)

images: setup ## build the images of the services and describe what is in them; TAG and PYTHON_IMAGE choose
	@$(BIN)/python -m deploy.images

bench: setup ## measure Palabre, of `make run` or started for this; ARGS="--help" lists the measurements, ARGS=scale multiplies them
	@$(BIN)/python -m bench $(ARGS)

bench-compare: setup ## measure Palabre beside a Node server of the same purpose; ARGS="--help" lists the choices
	@$(BIN)/python -m bench.compare $(ARGS)

lock: setup ## resolve pyproject.toml again into the five locks; ARGS="--upgrade" takes the newest versions
	$(COMPILE) $(ARGS) pyproject.toml --extra otel --output-file requirements.lock
	$(COMPILE) $(ARGS) pyproject.toml --extra otel --group dev --constraint requirements.lock --output-file requirements-dev.lock
	$(COMPILE) $(ARGS) --group node --output-file requirements-node.lock
	$(COMPILE) $(ARGS) --group images --output-file requirements-images.lock
	$(COMPILE) $(ARGS) --group profile --output-file requirements-profile.lock

clean: ## remove what was made: .venv, caches, and .run with its conversations
	rm -rf .venv .run .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	rm -rf web/node_modules web/dist web/dist-lib bench/peers/seed/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
