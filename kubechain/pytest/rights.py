"""The rights of claims: derived from their fixtures, checked before anything is made for a claim, and no others used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from kubechain.claims import claim
from kubechain.claims.claim import Claim
from kubechain.claims.requirements import Environment, Requirement, refused, rights_of
from kubechain.claims.rights import CORE, PULL_SECRET, TOLERATED
from kubechain.cluster import existing
from kubechain.cluster.access import Access
from kubechain.cluster.target import Target
from kubechain.core.interrupts import INTERRUPTS
from kubechain.pytest.session import asks_for_claims, is_own_suite
from kubechain.pytest.shaping import shape_of
from kubechain.pytest.state import run_state

UPGRADE = "suites/upgrade/"
Fixture = TypeVar("Fixture", bound=Callable[..., object])
# Name of a fixture -> the rights that it uses.
FIXTURES: dict[str, tuple[Requirement, ...]] = {}


def needs(*requirements: Requirement) -> Callable[[Fixture], Fixture]:
    """Declare the rights that a fixture uses; every claim that uses the fixture, also through others, needs them."""

    def declare(function: Fixture) -> Fixture:
        FIXTURES[function.__name__] = requirements
        return function

    return declare


def with_rights(stated: Claim, fixtures: Iterable[str]) -> Claim:
    """Return a claim with the requirements of all fixtures that it uses, by their names."""
    inherited = (requirement for name in fixtures for requirement in FIXTURES.get(name, ()))
    return replace(stated, inherited=tuple(dict.fromkeys(inherited)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each claim the rights of its fixtures; those of another repository may have the same names and need no rights."""
    if not is_own_suite(config):
        return
    for item in items:
        stated = claim.of(item)
        if stated:
            item.add_marker(pytest.mark.claim(with_rights(stated, getattr(item, "fixturenames", ()))), append=False)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a claim that may not do what it needs, before a fixture is set up for it; permit it no other rights."""
    stated = claim.of(item)
    if stated is None or not asks_for_claims(item.config):
        return
    permit = run_state(item.config).permit
    permit.holder = stated.id
    if is_own_suite(item.config):
        # The samplers of an upgrade run through the claims of all phases, and end with the last.
        sharing = item.session.items if item.nodeid.startswith(UPGRADE) else [item]
        declared = (each for other in sharing if (each := claim.of(other)))
        permit.rights = TOLERATED | PULL_SECRET.rights | rights_of([CORE, PULL_SECRET], inside=True)
        permit.rights = permit.rights.union(*(each.rights | each.remote_rights for each in declared))
    # The API server is asked for each right once.
    with INTERRUPTS.interruptible():
        reasons = refused(stated.needs, permissions(item.config)) if stated.needs else []
    if reasons:
        pytest.skip(f"needs {', '.join(reasons)}")


def permissions(config: pytest.Config) -> Environment:
    """Return the environment as it is known before anything is read from the cluster: what claims and the user may do.

    Each process asks for itself, and once.
    """
    state = run_state(config)
    if state.permissions is None:
        target = Target.read(state.run.folder)
        api = None if target.owned else existing.connect(Path(target.kubeconfig), target.context, state.run.secrets)
        settings = state.settings
        shape = shape_of(state)
        state.permissions = Environment(
            target, (), "host", settings.disruptive, Access(api, target.namespace), settings.node_port, shape
        )
    return state.permissions
