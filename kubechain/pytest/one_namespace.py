"""A run in one namespace that it has not made (--namespace): it keeps other runs out, and its chains come one after another."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from kubechain.cleanup import marked_objects
from kubechain.core.errors import ExitCode, SetupError
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused
from kubechain.pytest.session import end
from kubechain.pytest.state import run_state

# Every claim on a chain uses the first; those of the chain that all share also the second.
CHAINS, SHARED = "chain_factory", "shared_chain"


def occupy(config: pytest.Config, api: Api, namespace: str) -> str:
    """Make the ConfigMap that stands for the run, and return its UID; end the run if another run has made its own meanwhile."""
    try:
        return api.create(marked_objects.sign(run_state(config).run.labels), namespace).uid
    except ApiRefused as refused:
        if refused.status != HTTPStatus.CONFLICT:
            raise
        what = f"another run uses the namespace {namespace}: it has the ConfigMap {marked_objects.RUN}; wait for its end"
        end(config, SetupError(what, ExitCode.CLUSTER))


def ends_the_shared_chain(item: pytest.Item) -> bool:
    """Whether a claim uses a chain besides the one that all share, which is deleted before."""
    used = getattr(item, "fixturenames", ())
    return CHAINS in used and SHARED not in used
