# Titanium: `make up` brings the platform up on this machine, `make test` runs the tests; `make help` lists the rest.
SHELL := /bin/bash -euo pipefail
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON    ?= python3
CACHE     := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/titanium
INVENTORY ?= inventories/local
# Passed on to ansible-playbook, e.g. make up ARGS='--tags blog --check --diff'
ARGS      ?=

# Environments are kept outside the clone and named after what they contain, so that a second clone shares them.
venv = $(CACHE)/venv/$(1)-$(shell cat requirements/$(1).txt services/requirements.txt scripts/venv | sha256sum | cut -c1-12)
VENV     := $(call venv,controller)
VENV_DEV := $(call venv,dev)
PLAY     := $(VENV)/bin/ansible-playbook -i $(INVENTORY)

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9_-]+:.*## /{printf "  \033[1mmake %-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.complete $(VENV_DEV)/.complete:
	@scripts/venv $(PYTHON) $(@D)

.PHONY: venv venv-dev
venv: $(VENV)/.complete
	@ln -sfn $(VENV) .venv
venv-dev: $(VENV_DEV)/.complete
	@ln -sfn $(VENV_DEV) .venv-dev

##@ the platform
.PHONY: up down reset verify status kubeconfig
up: venv ## the whole platform on this machine, from nothing
	@$(PLAY) site.yml $(ARGS)
down: venv ## stop the local cluster, keep its data
	@$(PLAY) playbooks/down.yml $(ARGS)
reset: venv ## remove every trace of the local cluster (asks first)
	@$(PLAY) playbooks/reset.yml $(ARGS)
verify: venv ## prove from outside that the platform works
	@$(PLAY) playbooks/verify.yml $(ARGS)
status: venv ## what runs, and how it is
	@$(PLAY) playbooks/status.yml $(ARGS)
kubeconfig: ## print the path of the local cluster's kubeconfig
	@echo /var/lib/titanium/kubeconfig

.PHONY: gitops-status push-demo
gitops-status: venv ## whether what runs is what git says, and if not why (needs titanium_gitops)
	@$(VENV)/bin/python -m scripts.gitops.status
push-demo: venv ## push a new banner to the local git server and time it until readers see it: ARGS='--times 10'
	@$(VENV)/bin/python -m scripts.gitops.push_demo $(ARGS)

##@ tests, cheapest first
.PHONY: test test-all lint unit integration molecule e2e chaos
test: venv venv-dev ## the tests, but the slow ones and those that run only by name (CONTRIBUTING.md)
	@tests/run
test-all: venv venv-dev ## with the slow ones
	@TITANIUM_TEST_SLOW=yes tests/run
lint: venv-dev ## formatters, linters, type checkers
	@tests/run lint
unit: venv-dev ## unit tests
	@tests/run unit
integration: venv venv-dev ## tests on a real PostgreSQL and Redis
	@tests/run integration
molecule: venv venv-dev ## roles on the real local cluster, or one: ROLE=redis
	@ROLE=$(ROLE) tests/run molecule
e2e: venv venv-dev ## the whole platform, from outside
	@tests/run e2e

chaos: venv venv-dev ## break the running platform: kill every component, stop it, start it
	@tests/run chaos

##@ measurements
.PHONY: bench coverage load
bench: venv-dev ## how fast one replica is, beside the least that could do the same (needs wrk)
	@PYTHONPATH=services:. .venv-dev/bin/python -m tests.load.bench_api $(ARGS)
coverage: venv-dev ## lines and branches of the services that unit and integration tests reach
	@PYTHONPATH=services:. .venv-dev/bin/pytest tests/unit/services tests/integration/services --cov --cov-report=term:skip-covered $(ARGS)

load: venv venv-dev ## users as k6 plays them: PROFILE=smoke|load|stress|soak|journey, TARGET=URL of a running platform
	@$(PLAY) playbooks/k6.yml
	@PYTHONPATH=services:. .venv-dev/bin/python -m tests.load.users --profile $(or $(PROFILE),smoke) $(if $(TARGET),--target $(TARGET)) $(ARGS)

.PHONY: alerts-drill
alerts-drill: venv venv-dev ## break the running platform part by part and see who is told, and when (40 minutes): ARGS='postgresql cpu'
	@PATH="$(CURDIR)/.venv/bin:$$PATH" PYTHONPATH=services:. .venv-dev/bin/python -m tests.drills.alerts $(ARGS)

.PHONY: dashboards logs traces
dashboards: venv-dev ## draw all dashboards from the running Prometheus, and Loki where there is one; prints the page to open
	@PATH="$(CURDIR)/.venv-dev/bin:$$PATH" .venv-dev/bin/python -m scripts.dashboards.render $(ARGS)
logs: venv ## lines of all services in the order of time, e.g. make logs ARGS='--request ID --since 6h'; docs/logs.md
	@.venv/bin/python -m scripts.logs $(ARGS)
traces: venv ## a request's spans in all services, e.g. make traces ARGS='--request ID'; docs/traces.md
	@.venv/bin/python -m scripts.traces $(ARGS)

##@ development
.PHONY: dev hooks lock
dev: venv-dev ## the four services with reload, a real PostgreSQL and Redis; no cluster, no root
	@.venv-dev/bin/python -m tests.harness.dev
hooks: venv-dev ## check for secrets, form and lint before each commit in this clone
	@.venv-dev/bin/pre-commit install
lock: ## compile the pinned, hashed requirements
	@scripts/lock
