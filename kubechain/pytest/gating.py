"""Gates around claims: a claim runs once the links before its own are up, else it is blocked.

A claim that fails while a link that it uses is broken is blocked by that link, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator

import pytest

from kubechain.claims import claim
from kubechain.claims.claim import Claim, Link
from kubechain.claims.obstacles import Obstacle
from kubechain.claims.requirements import DISRUPTION, EXEC, refused, right
from kubechain.claims.rights import GATES as NEEDED
from kubechain.core.errors import Blocked, HarnessError, NoProgram, NotApplicable, Unmet
from kubechain.core.interrupts import INTERRUPTS
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Waiter
from kubechain.pytest.outcomes import known_links
from kubechain.pytest.rights import permissions
from kubechain.pytest.state import chain_of, claim_state, run_state
from kubechain.workload.chain import Chain
from kubechain.workload.ended_pods import ended_since
from kubechain.workload.gates import ASKED_AGAIN, GATES, RESTS, Gatekeeper, awaited, used
from kubechain.workload.manifests import WEB

# Every claim on a chain requests this fixture, directly or not.
OF_CHAINS = "chain_factory"
EVICTION = right("create", "pods/eviction")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Block a claim without a try if a link that it uses is known to be broken, or no command can be run in a Pod."""
    stated = _on_a_chain(item)
    if stated:
        run_state(item.config).gatekeeper.require_untried(stated)
    with _judged(item, Unmet, RealClock().now()):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Skip a claim whose premises admission has changed; ask again for the links that a failed claim used.

    It is blocked by the first of them that is broken.
    """
    stated, chain = _on_a_chain(item), chain_of(item)
    with _judged(item, AssertionError, RealClock().now()):
        if stated and chain:
            with INTERRUPTS.interruptible():
                require_premises(stated, chain)
        began = chain.objects.clock.now() if chain else 0.0
        result = yield
        if stated and chain and stated.opens:
            chain.answered.setdefault(stated.link, (began, chain.objects.clock.now()))
        return result


@contextlib.contextmanager
def _judged(item: pytest.Item, failure: type[AssertionError], began: float) -> Generator[None]:
    """Skip a claim that does not apply, try a command after trouble, and block a claim whose `failure` another link explains.

    A `failure` while the cluster has ended a Pod of the chain, at `began` (monotonic seconds) or later, says nothing.
    """
    try:
        yield
    except NotApplicable as reason:
        if claim.of(item) is None:
            raise
        pytest.skip(str(reason))
    except NoProgram as lacking:
        chain = chain_of(item)
        if chain is None or not chain.pulled:
            raise
        # The user has named the image.
        run_state(item.config).gatekeeper.shut(Obstacle.IMAGES, str(lacking))
        raise Blocked(Obstacle.IMAGES, str(lacking)) from lacking
    except HarnessError:
        with INTERRUPTS.interruptible():
            _try_command(item)
        raise
    except failure as error:
        with INTERRUPTS.interruptible():
            ended = ended_meanwhile(item, began)
            blocked = None if ended else to_blame(item, error)
        if ended:
            raise HarnessError(f"cannot decide: {ended} meanwhile; {error}") from error
        if blocked:
            raise blocked from error
        raise


def ended_meanwhile(item: pytest.Item, began: float) -> str:
    """Return which Pod of a claim's chain the cluster has ended; "" if none, or if the claim evicts Pods or stops Nodes itself.

    Where the Deployment has lost its Pods for good, the claim says so.
    """
    stated, chain = _on_a_chain(item), chain_of(item)
    if stated is None or chain is None or {DISRUPTION, EVICTION} & {*stated.needs}:
        return ""
    ended = ended_since(chain.objects, began)
    if ended and chain.objects.read().one("Deployment", WEB):
        try:
            GATES[Link.PODS](chain).wait(Waiter(chain.waiter.clock), ASKED_AGAIN)
        except (Unmet, HarnessError):
            return ""
    return ended


def to_blame(item: pytest.Item, error: AssertionError) -> Blocked | None:
    """Return Blocked by the first broken link that a failed claim uses, None if there is none.

    If the link of the claim itself is not up any more, its gate is shut, so that its other claims are blocked.
    """
    stated, state = _on_a_chain(item), run_state(item.config)
    if stated is None:
        return None
    keeper, shared = state.gatekeeper, state.shared_chain
    if stated.link not in known_links(state):
        # With a known issue, the verdict is not certain.
        state.pace.hurry()
    try:
        keeper.require_open(used(stated.link, stated.after))
        # A claim that stops a Node breaks these links itself, until its end.
        if shared and DISRUPTION not in stated.needs:
            links = _askable(item.config, used(stated.link, stated.after))
            keeper.ask_again(links, shared, Waiter(shared.waiter.clock))
        if (chain := claim_state(item).chain) and keeper.obstruct(found := chain.blocked(stated.link, error)):
            return found
        if shared:
            keeper.require_fed(stated, shared, Waiter(shared.waiter.clock))
    except Blocked as blocked:
        return blocked
    if stated.opens:
        keeper.shut(stated.link, str(error))
        keeper.fail(stated.link)
    elif shared and stated.link in GATES:
        try:
            keeper.ask_again(_askable(item.config, [stated.link]), shared, Waiter(shared.waiter.clock))
        except Blocked:
            keeper.fail(stated.link)
    return None


def _try_command(item: pytest.Item) -> None:
    """Run a command in the client Pod after a claim that runs commands was inconclusive; if it fails, no claim tries another."""
    stated, state = _on_a_chain(item), run_state(item.config)
    if stated and state.shared_chain and EXEC in stated.needs:
        state.gatekeeper.try_command(state.shared_chain)


def _askable(config: pytest.Config, links: list[Link]) -> list[Link]:
    """Return those of the links whose gates the user of the run may ask."""
    return [link for link in links if link not in NEEDED or not refused([NEEDED[link]], permissions(config))]


def require_premises(stated: Claim, chain: Chain) -> None:
    """Raise NotApplicable if admission has changed what a claim rests on, by itself or for its link."""
    chain.require([*RESTS.get(stated.link, ()), *stated.premises])


def _on_a_chain(item: pytest.Item) -> Claim | None:
    """Return the claim of a test that uses a chain, else None."""
    return claim.of(item) if OF_CHAINS in getattr(item, "fixturenames", ()) else None


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
        NotApplicable: admission has changed what the claim rests on.

    """
    stated = claim_of(request)
    claim_state(request.node).chain = chain
    require_premises(stated, chain)
    links = _askable(request.config, awaited(stated))
    gatekeeper.admit(links, chain, waiter, stated.link)
    gatekeeper.require_accepted(stated.link)
    # The Pods are there now.
    require_premises(stated, chain)
    return links
