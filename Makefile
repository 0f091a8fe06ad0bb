# Every way to use the project. `make help` explains itself.

SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python

# Each variable is taken from the command line of make alone, and handed on through the environment as it is: a cluster, a
# folder or a context that happens to be in the environment is not meant, and no value becomes part of a recipe.
VARIABLES := LEVEL ONLY PATIENCE CLAIMS DISRUPTIVE CONTEXT KUBECONFIG IMAGES CLUSTER KEEP K8S NGINX_IMAGE CLIENT_IMAGE \
  PULL_SECRET REGISTRY_MIRROR OUT HTML FAULTS SHORT COMPARE FROM TO DRAIN SNAPSHOT FORMAT PORT IMAGES_TOO ENGINE KEPT
given = $(if $(findstring command line,$(origin $(1))),$(value $(1)))
unexport KUBECONFIG
MAKEOVERRIDES :=
$(foreach name,$(filter-out KUBECHAIN_OWNER,$(filter KUBECHAIN_%,$(.VARIABLES))),$(eval unexport $(name)))
$(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(eval unexport $(name))))
$(foreach name,$(VARIABLES),$(eval export KUBECHAIN_$(name) := $$(call given,$(name))))
# Those whose setting has another name.
export KUBECHAIN_PROCESSES := $(call given,N)
export KUBECHAIN_CACHE := $(call given,CACHE_DIR)
export KUBECHAIN_CACHE_TOO := $(call given,CACHE)

SCRIPTS := $(wildcard .ci/*.sh images/*/*.sh .ci/run)
WORKFLOWS := $(wildcard .github/workflows/*.yml .github/workflows/*.yaml)
ACTIONLINT := images/go/actionlint/1.7.12

.PHONY: help e2e faults upgrade upgrade-before upgrade-during upgrade-after test lint list report clean env dev catalogue

help: ## explain the targets and the variables
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '%s\n' '' 'Variables, such as make e2e LEVEL=full; only the command line of make counts, not the environment:'
	@awk -F ' \\| ' '/^\| `[A-Z0-9_]+` \| / {gsub(/[`|]/, "", $$1); gsub(/`| \|$$/, "", $$5); \
	  gsub(/`/, "", $$4); printf " %-17s %s (%s)\n", $$1, $$5, $$4}' docs/REFERENCE.md
	@printf '%s\n' 'Exit codes: see docs/REFERENCE.md (make itself exits with 2 and prints the code as "Error N").'

env:
	@sh .ci/venv.sh requirements.lock

dev:
	@sh .ci/venv.sh requirements-dev.lock

e2e: env ## a cluster, nginx, every claim, one verdict and a report
	@$(PYTHON) -m kubechain run

faults: env ## the suite judged: faults in a cluster of its own, each must be found (FAULTS=ids, SHORT=1, COMPARE=upstream)
	@$(PYTHON) -m kubechain faults

upgrade: env ## a cluster of its own at FROM, upgraded to TO with kubeadm, asked and watched all the time (DRAIN=1)
	@$(PYTHON) -m kubechain upgrade

upgrade-before: env ## phase 1 on CONTEXT: witnesses are made, the chain is checked, SNAPSHOT is written
	@$(PYTHON) -m kubechain upgrade before

upgrade-during: env ## phase 2, as long as it takes: ask all the time until every Node is upgraded, or Ctrl-C
	@$(PYTHON) -m kubechain upgrade during

upgrade-after: env ## phase 3: all is held against SNAPSHOT, then the whole chain is checked anew
	@$(PYTHON) -m kubechain upgrade after

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
	@$(PYTHON) -m kubechain list

catalogue: env ## write docs/CATALOGUE.md, docs/COVERAGE.md, docs/FAULTS.md and the settings in docs/REFERENCE.md anew
	@$(PYTHON) -m reports.catalogue --write

report: env ## serve the last report on loopback (PORT=8000 for a certain port)
	@$(PYTHON) -m kubechain report

clean: env ## remove what runs left behind; with IMAGES_TOO, CACHE, ENGINE, KEPT also what they need
	@$(PYTHON) -m kubechain clean
