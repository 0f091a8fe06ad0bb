"""Gates before claims: a claim runs once the links before its own are up, else it is blocked."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from kubechain.claims import claim
from kubechain.claims.claim import Claim, Link
from kubechain.core.errors import HarnessError, Unmet
from kubechain.observe.wait import Waiter
from kubechain.pytest.state import claim_state
from kubechain.workload.chain import Chain
from kubechain.workload.gates import Gatekeeper, awaited


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shut the gate of a link whose opening claim failed, so that no other claim waits for it again."""
    report = yield
    stated = claim.of(item)
    error = call.excinfo.value if call.excinfo else None
    if stated and stated.opens and isinstance(error, Unmet) and (gatekeeper := claim_state(item).gatekeeper):
        gatekeeper.shut.setdefault(stated.link, str(error))
    return report


def claim_of(request: pytest.FixtureRequest) -> Claim:
    """Return the claim that requests a fixture; HarnessError if the test is not a claim."""
    stated = claim.of(request.node)
    if stated is None:
        raise HarnessError(
            f"{request.node.nodeid} is not a claim: add the decorator @claim, or do without the fixture of a chain"
        )
    return stated


def admit(request: pytest.FixtureRequest, gatekeeper: Gatekeeper, chain: Chain, waiter: Waiter) -> list[Link]:
    """Wait until the links before a claim's own are up on its chain, and return them; use the chain for its evidence.

    Raises:
        Blocked: a link before is not up.
        Unmet: the API server refused an object of the claim's own link.

    """
    state, stated = claim_state(request.node), claim_of(request)
    state.chain, state.gatekeeper = chain, gatekeeper
    links = awaited(stated)
    gatekeeper.admit(links, chain.objects, waiter)
    gatekeeper.require_accepted(stated.link)
    return links
