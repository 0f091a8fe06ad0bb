# The targets of the project; `make help` lists them. Each target calls the command kubechain or a development tool.

SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python

# make passes variables of its command line, and of no other origin, unchanged through the environment: a context or folder
# that happens to be in the environment must not select a cluster, and no value may become part of a shell command.
VARIABLES := LEVEL ONLY PATIENCE FAIL_FAST CHAINS CLAIMS DISRUPTIVE CONTEXT KUBECONFIG NAMESPACE IMAGES CLUSTER KEEP IP_FAMILY PROXY_MODE CONTROL_PLANES K8S \
  NGINX_IMAGE CLIENT_IMAGE IMAGE_ARCHITECTURES PULL_SECRET REGISTRY_MIRROR OVERLAY TOLERATE NODES NODE_PORT OUT HTML FAULTS MUTANTS DRAWN COVER SHORT COMPARE FROM TO \
  DRAIN REBOOT REPLACE FOR COMMAND STATE ASK ASK_ALLOWANCE LOAD_BALANCER SNAPSHOT FORMAT \
  PORT IMAGES_TOO ENGINE KEPT YES WAIVERS HISTORY GATE BEFORE AFTER RESULT LAST JSON MARKDOWN SHARD POD JSON_LINE VERDICT_FILE \
  RESULT_CONFIG_MAP REPORT_URL UPLOAD RESULTS BUILD ARCHITECTURE CONTEXTS \
  SOURCE AT_ONCE EVERY DEADLINE ROUNDS ADDRESS RECORD
# The value of a variable of the command line; KNOWN are all that have been asked for, and PYTHON.
KNOWN := PYTHON
given = $(eval KNOWN += $(1))$(if $(findstring command line,$(origin $(1))),$(value $(1)))
unexport KUBECONFIG
MAKEOVERRIDES :=
$(foreach name,$(filter-out KUBECHAIN_OWNER,$(filter KUBECHAIN_%,$(.VARIABLES))),$(eval unexport $(name)))
$(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(eval unexport $(name))))
$(foreach name,$(VARIABLES),$(eval export KUBECHAIN_$(name) := $$(call given,$(name))))
# Variables with another name than their setting.
export KUBECHAIN_PROCESSES := $(call given,N)
export KUBECHAIN_CACHE := $(call given,CACHE_DIR)
export KUBECHAIN_CACHE_TOO := $(call given,CACHE)
# Of a development target alone.
export HOSTILE_SECONDS := $(call given,SECONDS)

SCRIPTS := $(wildcard .ci/*.sh images/*/*.sh .ci/run)
WORKFLOWS := $(wildcard .github/workflows/*.yml .github/workflows/*.yaml)
ACTIONLINT := images/go/actionlint/1.7.12

.PHONY: help e2e faults mutants draw bench upgrade upgrade-before upgrade-during upgrade-after during upgrades blockers changes soak test pages overhead hostile canary ends nightly watch-rounds in-cluster programs terrains lint chart rights list images report compare history gate fleet watch clean env dev catalogue

help: ## list targets and variables
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '%s\n' '' 'Variables, such as make e2e LEVEL=full; make ignores the environment:'
	@awk -F ' \\| ' '/^\| `[A-Z0-9_]+` \| / {gsub(/[`|]/, "", $$1); gsub(/`| \|$$/, "", $$5); \
	  gsub(/`/, "", $$4); printf " %-17s %s (%s)\n", $$1, $$5, $$4}' docs/REFERENCE.md
	@printf '%s\n' 'Exit codes: docs/REFERENCE.md. make itself exits with 2 and prints the exit code as "Error N".'

env:
	@sh .ci/venv.sh requirements.lock

dev:
	@sh .ci/venv.sh requirements-dev.lock

e2e: env ## check every link of the chain on a cluster, and write a report
	@$(PYTHON) -m kubechain run

faults: env ## check that the suite finds injected faults (FAULTS=ids, SHORT=1, COMPARE=upstream)
	@$(PYTHON) -m kubechain faults

mutants: env ## check that the suite finds mutants of Kubernetes, built from source (FAULTS=ids, DRAWN=1, SHORT=1, KEEP=1, COMPARE=upstream)
	@$(PYTHON) -m kubechain faults --mutants

draw: dev ## find the functions that a green run of the quick claims comes to, and draw the mutants of `make mutants DRAWN=1` from them
	@$(PYTHON) -m tests.drawing

bench: env ## measure the claims beside upstream's tests of the same behaviour, on one cluster, in turn (ROUNDS=3, RECORD=1)
	@$(PYTHON) -m kubechain bench

upgrade: env ## create a cluster at FROM, upgrade it to TO with kubeadm, and sample every path meanwhile (DRAIN=1, REBOOT=1, REPLACE=1)
	@$(PYTHON) -m kubechain upgrade

during: env ## check CONTEXT before, during and after a change: COMMAND="kubectl ...", FOR=30m, or until Ctrl-C
	@$(PYTHON) -m kubechain during

upgrade-before: env ## phase 1 on CONTEXT: create witnesses, check the chain, write SNAPSHOT
	@$(PYTHON) -m kubechain upgrade before

upgrade-during: env ## phase 2: sample every path until all Nodes are upgraded, or Ctrl-C
	@$(PYTHON) -m kubechain upgrade during

upgrade-after: env ## phase 3: compare with SNAPSHOT, then check the whole chain
	@$(PYTHON) -m kubechain upgrade after

upgrades: export UPGRADES_RUNS := $(call given,RUNS)
upgrades: export UPGRADES_LOSE := $(call given,LOSE)
upgrades: env ## upgrade RUNS=1 clusters from FROM to TO (REBOOT=1, REPLACE=1), lose a path of a Node that stays (LOSE=none: nothing), check what is said
	@$(PYTHON) -m tests.upgrades

blockers: env ## make what blocks an upgrade on the kept kind cluster CLUSTER, one of each kind and harmless twins, and run the claims before
	@$(PYTHON) -m tests.blockers

changes: export CHANGES_IDS := $(call given,CHANGES)
changes: env ## make changes that are no upgrades on the kept kind cluster CLUSTER with kubechain during (CHANGES=ids), and check go or no-go
	@$(PYTHON) -m tests.changes

soak: export SOAK_RUNS := $(call given,RUNS)
soak: export SOAK_MODE := $(call given,MODE)
soak: env ## run the quick claims RUNS=5 times in a row, half of them over a network that cuts (MODE=throttled: all refused now and then)
	@$(PYTHON) -m tests.soak

test: dev ## run the tests of the harness, without a cluster, with one of each kind of whole run
	@$(PYTHON) -m pytest -n auto --dist loadfile --no-loadscope-reorder tests

pages: ## look at the reports of every kind of run in Chromium: layout, accessibility, keyboard, requests; makes the pictures of docs/pages
	@sh .ci/venv.sh requirements-pages.lock
	@$(PYTHON) -m pytest -q -n 0 -p tests.pages.browser.chromium -o python_files='look_*.py' tests/pages/browser

overhead: export OVERHEAD_ROUNDS := $(call given,ROUNDS)
overhead: dev ## measure what the observer costs in quick runs on CLUSTER, a kind cluster that a run kept: median of ROUNDS=10
	@$(PYTHON) -m tests.overhead

hostile: export HOSTILE_SLOWNESS := $(call given,SLOWNESS)
hostile: export HOSTILE_LEDGER := $(call given,LEDGER)
hostile: dev ## run the command against clusters that misbehave, and the full form of make test (N=2; SECONDS=600 draws sequences; LEDGER=file; SLOWNESS=3: a loaded machine)
	@$(PYTHON) -m tests.hostile

canary: dev ## run the suite on CONTEXT with planted secrets, and look for them in all results (NGINX_IMAGE, CLIENT_IMAGE)
	@$(PYTHON) -m tests.canary

ends: export ENDS_CASES := $(call given,CASES)
ends: export ENDS_LEDGER := $(call given,LEDGER)
ends: dev ## end runs by signals, kills and at every phase, on CONTEXT or on kind clusters named CLUSTER, and list what is left (CASES=ids, LEDGER=file: go on from it)
	@$(PYTHON) -m tests.ends

nightly: export NIGHTLY_JOBS := $(call given,JOBS)
nightly: export NIGHTLY_JOIN := $(call given,JOIN)
nightly: dev ## every job of a night, one after another (SHORT=1, JOBS=ids, JOIN=1; FORMAT=json prints the ids), docs/IN_CLUSTER.md
	@$(PYTHON) -m tests.nightly

watch-rounds: export WATCH_EPISODES := $(call given,EPISODES)
watch-rounds: dev ## a watch with Prometheus and Alertmanager on CLUSTER, which faults break (ROUNDS=100, EVERY=60s, EPISODES=10)
	@$(PYTHON) -m tests.watching

in-cluster: export IN_CLUSTER_CASES := $(call given,CASES)
in-cluster: dev ## Jobs of deploy/ on CLUSTER, a kind cluster that a run kept, well and when something goes wrong (CASES=ids)
	@$(PYTHON) -m tests.in_cluster

programs: dev ## build helm, Prometheus, Alertmanager and an S3 server from their Go modules, for the tests of deploy/
	@$(PYTHON) -m tests.go_programs

terrains: export TERRAIN_IDS := $(call given,TERRAIN)
terrains: dev ## run the suite on healthy clusters that differ (TERRAIN=ids, FAULTS=1, CLUSTER=NAME, KEEP=1), docs/TERRAINS.md
	@$(PYTHON) -m tests.terrains

lint: dev ## check format, lint, types, layers, sizes, security, shell, workflows and generated documents
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m pyright
	@.venv/bin/lint-imports --no-logo
	@$(PYTHON) -m pytest -q --no-header -p no:cacheprovider tests/test_lint.py
	@$(PYTHON) -m bandit -q -c pyproject.toml -r kubechain fixtures reports
	@.venv/bin/shellcheck $(SCRIPTS)
	@$(if $(WORKFLOWS),.venv/bin/zizmor --offline --quiet $(WORKFLOWS),:)
	@$(if $(WORKFLOWS),$(if $(shell command -v go),cd $(ACTIONLINT) && go tool actionlint -shellcheck $(CURDIR)/.venv/bin/shellcheck \
	  $(addprefix $(CURDIR)/,$(WORKFLOWS)),echo "  .. Go not found: actionlint is skipped"),:)
	@$(PYTHON) -m reports.catalogue --check
	@$(PYTHON) -m tests.hostile.document --check
	@$(PYTHON) -m tests.terrains.document --check

chart: programs ## check deploy/ with helm and promtool, which are built from their Go modules
	@$(PYTHON) -m pytest -q tests/test_helm.py tests/test_alerts.py tests/test_deploy.py

rights: export RIGHTS_ROLES := $(call given,ROLES)
rights: export RIGHTS_WITHOUT := $(call given,WITHOUT)
rights: export RIGHTS_LEDGER := $(call given,LEDGER)
rights: dev ## check the generated roles against the audit log of CONTEXT, or of a kind cluster CLUSTER of its own: nothing refused, no right unused (ROLES=, WITHOUT=all, LEDGER=file)
	@$(PYTHON) -m tests.rights

list: env ## print the catalogue of claims (FORMAT=json, markdown)
	@$(PYTHON) -m kubechain list

catalogue: dev ## write the generated documents under docs/
	@$(PYTHON) -m reports.catalogue --write
	@$(PYTHON) -m tests.hostile.document --write
	@$(PYTHON) -m tests.terrains.document --write

report: env ## serve the last report on a loopback port (PORT=8000)
	@$(PYTHON) -m kubechain report

images: dev ## print the images of runs in a cluster (BUILD=1 builds them, ARCHITECTURE=arm64)
	@$(PYTHON) -m kubechain images

compare: env ## compare finished runs: BEFORE and AFTER, each a run.json or a folder (JSON=1, MARKDOWN=1)
	@$(PYTHON) -m kubechain compare

history: env ## show the runs in the folder HISTORY, one a row (LAST=20, JSON=1, MARKDOWN=1)
	@$(PYTHON) -m kubechain history

fleet: env ## check the clusters CONTEXTS=a,b,c or SOURCE (AT_ONCE=4), and write reports/out/fleet.html
	@$(PYTHON) -m kubechain fleet

watch: env ## check CONTEXT again and again (EVERY=15m, ROUNDS=), and serve /metrics on loopback (PORT=9464)
	@$(PYTHON) -m kubechain watch

gate: env ## check the run.json RESULT against the rules in GATE
	@$(PYTHON) -m kubechain gate

clean: env ## remove the leftovers of dead runs (KEPT=1, ENGINE=1, CACHE=1, IMAGES_TOO=1 remove more, YES=1 without asking)
	@$(PYTHON) -m kubechain clean

# Last, when all variables have been asked for.
$(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(if $(filter $(name),$(KNOWN)),,$(error $(name): no such variable; `make help` lists them))))
