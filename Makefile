# Every way to use the project. `make help` explains itself.

SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python

# What a run may be told; each is handed on as E2E_* or as an option of pytest.
K8S ?=
IMAGES ?=
CONTEXT ?=
CLUSTER ?=
NGINX_IMAGE ?=
CLIENT_IMAGE ?=
PULL_SECRET ?=
REGISTRY_MIRROR ?=
LEVEL ?=
DISRUPTIVE ?=
OUT ?=
KEEP ?=
N ?=
CLAIMS ?=

export E2E_K8S := $(K8S)
export E2E_IMAGES := $(IMAGES)
export E2E_CONTEXT := $(CONTEXT)
export E2E_NGINX_IMAGE := $(NGINX_IMAGE)
export E2E_CLIENT_IMAGE := $(CLIENT_IMAGE)
export E2E_PULL_SECRET := $(PULL_SECRET)
export E2E_REGISTRY_MIRROR := $(REGISTRY_MIRROR)
export E2E_LEVEL := $(LEVEL)
export E2E_DISRUPTIVE := $(DISRUPTIVE)
export E2E_OUT := $(OUT)

# A kubeconfig is only ever used together with a context that was named.
OPTIONS := $(if $(CLUSTER),--cluster-name=$(CLUSTER)) $(if $(filter-out 0,$(KEEP)),--keep-cluster) \
  $(if $(CONTEXT),$(if $(KUBECONFIG),--kubeconfig=$(KUBECONFIG))) $(if $(filter-out 0 1,$(N)),-n $(N)) \
  $(if $(CLAIMS),-k "$(CLAIMS)")

.PHONY: help e2e test lint list report clean env dev catalogue

help: ## explain the targets and the variables
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '%s\n' '' 'Variables of make e2e:' \
	  '  K8S=1.37.2            Kubernetes version of the cluster that is made' \
	  '  IMAGES=auto           pull, build, or auto: pull if a registry answers, else build from source' \
	  '  KEEP=1                keep the cluster; CLUSTER=name uses it again' \
	  '  CONTEXT=name          use an existing cluster: this context of KUBECONFIG=path (~/.kube/config)' \
	  '  NGINX_IMAGE= CLIENT_IMAGE= PULL_SECRET=config.json REGISTRY_MIRROR=host/path   images elsewhere' \
	  '  N=4                   processes that run claims side by side' \
	  '  CLAIMS="dns or env"   only the claims whose names match' \
	  '  OUT=reports/out       where results are published' \
	  'Variables of make clean: IMAGES_TOO=1 CACHE=1 ENGINE=1 KEPT=1 CONTEXT=name' \
	  'Exit codes: see docs/REFERENCE.md (make itself exits with 2 and prints the code as "Error N").'

env:
	@sh fixtures/venv.sh requirements.lock

dev:
	@sh fixtures/venv.sh requirements-dev.lock

e2e: env ## a cluster, nginx, every claim, one verdict and a report
	@$(PYTHON) -m pytest suites/chain $(OPTIONS)

test: dev ## the harness's own tests: no cluster, seconds
	@$(PYTHON) -m pytest tests

lint: dev ## format, lint, types, layers, shell, workflows
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m pyright
	@.venv/bin/lint-imports
	@$(PYTHON) -m bandit -q -c pyproject.toml -r fixtures reports images
	@.venv/bin/zizmor --offline --quiet .github/workflows
	@$(PYTHON) -m reports.catalogue --check

list: env ## the catalogue of claims (FORMAT=json for programs)
	@$(PYTHON) -m reports.catalogue --format $(or $(FORMAT),text)

catalogue: env ## write docs/CATALOGUE.md anew
	@$(PYTHON) -m reports.catalogue --write

report: env ## serve the last report on loopback
	@$(PYTHON) -m reports.serve

clean: env ## remove what runs left behind; with IMAGES_TOO, CACHE, ENGINE, KEPT also what they need
	@$(PYTHON) -m fixtures.cluster.clean $(if $(IMAGES_TOO),--images) $(if $(CACHE),--cache) \
	  $(if $(ENGINE),--engine) $(if $(KEPT),--kept) $(if $(CONTEXT),--context=$(CONTEXT)) \
	  $(if $(CONTEXT),$(if $(KUBECONFIG),--kubeconfig=$(KUBECONFIG)))
