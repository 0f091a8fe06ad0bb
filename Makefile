# Every way to use the project. `make help` explains itself.

SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python

# What a run may be told; each is handed on as E2E_* or as an option of pytest.
K8S ?=
IMAGES ?=
# Only on the command line: a cluster that happens to be in the environment is not meant.
CONTEXT =
CLUSTER ?=
NGINX_IMAGE ?=
CLIENT_IMAGE ?=
PULL_SECRET ?=
REGISTRY_MIRROR ?=
LEVEL ?=
DISRUPTIVE =
OUT ?=
KEEP ?=
N ?=
CLAIMS ?=
FAULTS ?=
SHORT ?=
FROM ?=
TO ?=
DRAIN ?=
SNAPSHOT ?=
PEER ?=
FORMAT ?=
PORT ?=
IMAGES_TOO ?=
CACHE ?=
ENGINE ?=
KEPT ?=

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
export E2E_FAULTS := $(FAULTS)
export E2E_SHORT := $(SHORT)
export E2E_TO := $(TO)
export E2E_DRAIN := $(DRAIN)
export E2E_SNAPSHOT := $(abspath $(SNAPSHOT))
export E2E_PEER := $(PEER)

# What is set, unless to 0.
on = $(filter-out 0,$($(1)))

# A kubeconfig is only ever used together with a context that was named.
OPTIONS := $(if $(CLUSTER),--cluster-name=$(CLUSTER)) $(if $(call on,KEEP),--keep-cluster) \
  $(if $(CONTEXT),$(if $(KUBECONFIG),--kubeconfig=$(KUBECONFIG))) $(if $(filter-out 0 1,$(N)),-n $(N)) \
  $(if $(CLAIMS),-k "$(CLAIMS)")

SCRIPTS := $(wildcard .ci/*.sh images/*/*.sh .ci/run)
WORKFLOWS := $(wildcard .github/workflows/*.yml .github/workflows/*.yaml)
ACTIONLINT := images/go/actionlint/1.7.12

.PHONY: help e2e faults upgrade upgrade-before upgrade-during upgrade-after test lint list report clean env dev catalogue

help: ## explain the targets and the variables
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '%s\n' '' 'Variables of make e2e:' \
	  '  K8S=1.37.2            Kubernetes version of the cluster that is made' \
	  '  IMAGES=auto           pull, build, or auto: pull if a registry answers, else build from source' \
	  '  KEEP=1                keep the cluster; CLUSTER=name uses it again' \
	  '  CONTEXT=name          use an existing cluster: this context of KUBECONFIG=path (~/.kube/config)' \
	  '  NGINX_IMAGE= CLIENT_IMAGE= PULL_SECRET=config.json REGISTRY_MIRROR=host/path   images elsewhere' \
	  '  N=4                   processes that run claims side by side' \
	  '  CLAIMS="dns or env"   only the claims whose names match' \
	  '  LEVEL=full            every claim, also those that take long (default: quick)' \
	  '  DISRUPTIVE=1          with CONTEXT: allow claims that disturb nodes' \
	  '  OUT=reports/out       where results are published' \
	  'Variables of make faults:' \
	  '  FAULTS=id,id          only these faults; SHORT=1: one of each kind' \
	  '  PEER=upstream         also run the closest tests of upstream under each fault, to compare' \
	  'Variables of make upgrade:' \
	  '  FROM=1.36.3 TO=1.37.2 versions; TO is the newest by default, those between them are passed through' \
	  '  DRAIN=1               drain each worker before its kubelet is replaced' \
	  '  SNAPSHOT=file         of upgrade-before, -during and -after, with CONTEXT: what was there before' \
	  'Variables of make list, report and clean:' \
	  '  FORMAT=text           of the list: text, json or markdown' \
	  '  PORT=8000             of the report, else a free one; OUT as above' \
	  '  IMAGES_TOO=1          clean: also the images that were built' \
	  '  CACHE=1               clean: also the cache of builds' \
	  '  KEPT=1                clean: also kept clusters; with CONTEXT, unexpired namespaces too' \
	  '  ENGINE=1              clean: also stop the container engine, if a run started it' \
	  '  CONTEXT=name          clean: also namespaces that runs left on that cluster' \
	  'Exit codes: see docs/REFERENCE.md (make itself exits with 2 and prints the code as "Error N").'

env:
	@sh .ci/venv.sh requirements.lock

dev:
	@sh .ci/venv.sh requirements-dev.lock

e2e: env ## a cluster, nginx, every claim, one verdict and a report
	@$(PYTHON) -m pytest suites/chain suites/lifecycle $(OPTIONS)

faults: env ## the suite judged: faults in a cluster of its own, each must be found (FAULTS=ids, SHORT=1, PEER=upstream)
	@E2E_LEVEL=full $(PYTHON) -m pytest suites/faults $(OPTIONS)

upgrade: env ## a cluster of its own at FROM, upgraded to TO with kubeadm, asked and watched all the time (DRAIN=1)
	@E2E_K8S=$(FROM) $(PYTHON) -m pytest suites/upgrade $(OPTIONS)

upgrade-before: env ## phase 1 on CONTEXT: witnesses are made, the chain is checked, SNAPSHOT is written
	@E2E_PHASE=before $(PYTHON) -m pytest suites/upgrade/test_1_before.py $(OPTIONS)

upgrade-during: env ## phase 2, as long as it takes: ask all the time until every Node is upgraded, or Ctrl-C
	@E2E_PHASE=during $(PYTHON) -m pytest suites/upgrade/test_2_during.py $(OPTIONS)

upgrade-after: env ## phase 3: all is held against SNAPSHOT, then the whole chain is checked anew
	@E2E_PHASE=after $(PYTHON) -m pytest suites/upgrade/test_3_after.py $(OPTIONS)

test: dev ## the harness's own tests: no cluster, seconds
	@$(PYTHON) -m pytest tests

lint: dev ## format, lint, types, layers, security, shell, workflows, generated documents
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m pyright
	@.venv/bin/lint-imports --no-logo
	@$(PYTHON) -m bandit -q -c pyproject.toml -r kubechain fixtures reports
	@.venv/bin/shellcheck $(SCRIPTS)
	@$(if $(WORKFLOWS),.venv/bin/zizmor --offline --quiet $(WORKFLOWS),:)
	@$(if $(WORKFLOWS),$(if $(shell command -v go),cd $(ACTIONLINT) && go tool actionlint -shellcheck $(CURDIR)/.venv/bin/shellcheck \
	  $(addprefix $(CURDIR)/,$(WORKFLOWS)),echo "  .. no Go here: actionlint is left out"),:)
	@$(PYTHON) -m reports.catalogue --check

list: env ## the catalogue of claims (FORMAT=json for programs, markdown)
	@$(PYTHON) -m reports.catalogue --format $(or $(FORMAT),text)

catalogue: env ## write docs/CATALOGUE.md and docs/COVERAGE.md anew from the claims
	@$(PYTHON) -m reports.catalogue --write

report: env ## serve the last report on loopback (PORT=8000 for a certain port)
	@$(PYTHON) -m reports.serve $(if $(PORT),--port=$(PORT))

clean: env ## remove what runs left behind; with IMAGES_TOO, CACHE, ENGINE, KEPT also what they need
	@$(PYTHON) -m kubechain.provision.clean $(if $(call on,IMAGES_TOO),--images) $(if $(call on,CACHE),--cache) \
	  $(if $(call on,ENGINE),--engine) $(if $(call on,KEPT),--kept) $(if $(CONTEXT),--context=$(CONTEXT)) \
	  $(if $(CONTEXT),$(if $(KUBECONFIG),--kubeconfig=$(KUBECONFIG)))
