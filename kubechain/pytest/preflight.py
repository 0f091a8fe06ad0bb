"""The check of a cluster before the first chain of a process is made; what it finds blocks every claim of the run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubechain.claims.requirements import Environment
from kubechain.core.errors import Blocked
from kubechain.core.progress import Step
from kubechain.kube.client import Api
from kubechain.provision.preflight import Preflight
from kubechain.pytest.session import uncaptured
from kubechain.pytest.state import run_state, worker_input
from kubechain.pytest.upgrade import is_change, is_upgrade
from kubechain.upgrade import sampler_manifests

TITLE = "objects of the run are accepted"


def examine(config: pytest.Config, api: Api, environment: Environment, name: str, labels: dict[str, str]) -> Environment:
    """Return the environment with what the cluster demands of objects, and give the API their shape.

    `name` is that of the namespace to check in, which gets these labels.

    Raises:
        Blocked: by an obstacle, for this claim and every other of the run.

    """
    state = run_state(config)
    state.gatekeeper.require_open([])
    # A client of its own: what is asked here is not what a claim declares.
    twin = api.twin()
    samplers = sampler_manifests.daemon_set(environment.target.client, ["any"])
    more = [samplers] if state.settings.phase == "during" or (is_upgrade(config) and is_change(state.settings)) else []
    preflight = Preflight(twin, environment, state.settings, labels, more)
    try:
        if worker_input(config) is not None:
            found = preflight.examine(name, Step(TITLE))
        else:
            with uncaptured(config), state.progress.step(TITLE) as step:
                found = preflight.examine(name, step)
    except Blocked as blocked:
        state.gatekeeper.obstruct(blocked)
        raise
    finally:
        twin.close()
    api.shape = twin.shape
    return replace(found, shape=twin.shape)
