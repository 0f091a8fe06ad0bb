"""Which claims are tried: those whose requirements the cluster meets, once the links before their own are up."""

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
    """Shut the gate of a link whose own claim says that it did not come up: no other claim waits for it again."""
    report = yield
    found = claim.of(item)
    error = call.excinfo.value if call.excinfo else None
    if found and found.opens and isinstance(error, Unmet) and (gatekeeper := claim_state(item).gatekeeper):
        gatekeeper.shut.setdefault(found.link, str(error))
    return report


def claim_of(request: pytest.FixtureRequest) -> Claim:
    """Return the claim that asks for a fixture; HarnessError if the test is none."""
    found = claim.of(request.node)
    if found is None:
        raise HarnessError(f"{request.node.nodeid} is not a claim, so no chain is made for it")
    return found


def admit(request: pytest.FixtureRequest, gatekeeper: Gatekeeper, chain: Chain, waiter: Waiter) -> list[Link]:
    """Wait until the links before a claim's own are up on its chain, and return them; the chain is the claim's evidence.

    Raises:
        Blocked: one is not.
        Unmet: the API server refused what the claim's own link is made of.

    """
    state, found = claim_state(request.node), claim_of(request)
    state.chain, state.gatekeeper = chain, gatekeeper
    links = awaited(found)
    gatekeeper.admit(links, chain.objects, waiter)
    gatekeeper.require_taken(found.link)
    return links
