"""Which of the next claims need a chain of their own, so that it is made before they begin."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import pytest

from kubechain.claims import claim
from kubechain.claims.requirements import DISRUPTION, refused
from kubechain.core.errors import HarnessError
from kubechain.core.interrupts import INTERRUPTS
from kubechain.pytest.fail_fast import is_ending
from kubechain.pytest.rights import permissions
from kubechain.pytest.scheduling import requires
from kubechain.pytest.session import asks_for_claims
from kubechain.pytest.state import run_state, worker_input

# Fixtures that take a chain of the usual form: each claim its own, and a scenario one for its claims.
EACH, SHARED = "own_chain", ("without_deployment", "without_service")
# A chain takes some seconds to come up, and most claims take a tenth. A chain that is made long before is no witness of what has
# broken since.
CLAIMS_AHEAD = 10


def users(item: pytest.Item) -> set[str]:
    """Return what takes a chain of its own for a claim: the claim itself, or its scenarios."""
    names: Sequence[str] = getattr(item, "fixturenames", ())
    return {*([item.nodeid] if EACH in names else []), *(name for name in SHARED if name in names)}


@dataclass
class Ahead:
    """A plugin that begins the chain of a later claim when a claim begins."""

    config: pytest.Config
    next_items: Sequence[pytest.Item] = field(default_factory=tuple[pytest.Item])
    # Whether the present claim disturbs Nodes.
    disturbs: bool = False
    # What has its chain, or is about to take it.
    taken: set[str] = field(default_factory=set[str])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
        """Look at the claims after this one, as far as this process knows which they are."""
        self.disturbs = requires(item, DISRUPTION)
        self.next_items = [nextitem] if nextitem else []
        if worker_input(self.config) is None and nextitem:
            begin = item.session.items.index(item) + 1
            self.next_items = item.session.items[begin : begin + CLAIMS_AHEAD]
        self.taken |= users(item)
        if factory := run_state(self.config).factory:
            # What keeps a chain from being begun now, such as an API server that is away, its claim meets and says.
            with contextlib.suppress(HarnessError), INTERRUPTS.interruptible():
                factory.prepare()
        return (yield)

    def wanted(self) -> int:
        """Return how many chains the next claims take that are not taken yet; none once the run is ending.

        No chain is made while Nodes are disturbed, or for a claim after that: its Pods would be lost with a Node.
        """
        if is_ending(self.config) or self.disturbs:
            return 0
        quiet = takewhile(lambda item: not requires(item, DISRUPTION), self.next_items)
        return len({user for item in quiet if not self._refused(item) for user in users(item) - self.taken})

    def _refused(self, item: pytest.Item) -> bool:
        stated = claim.of(item)
        return bool(stated and refused(stated.needs, permissions(self.config)))


AHEAD = pytest.StashKey[Ahead]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin where claims run."""
    if asks_for_claims(config):
        config.stash[AHEAD] = Ahead(config)
        config.pluginmanager.register(config.stash[AHEAD])
