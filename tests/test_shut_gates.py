"""What is known of shut gates: it blocks the claims that use the link, and those of the link itself once one has failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubechain.claims.claim import Link
from kubechain.core.errors import Blocked
from kubechain.workload.gates import Gatekeeper
from tests.fakes import claim_of, healthy
from tests.test_gates import up_to


def test_processes_of_a_run_share_shut_gates(tmp_path: Path) -> None:
    one, other = Gatekeeper(tmp_path / "shut"), Gatekeeper(tmp_path / "shut")
    assert other.why_shut(Link.DNS) is None
    one.shut(Link.DNS, "no answer")
    with pytest.raises(Blocked, match="no answer"):
        other.require_open([Link.CLUSTERIP, Link.DNS])


def test_only_the_first_claim_that_opens_a_broken_link_fails() -> None:
    gatekeeper, claim = Gatekeeper(), claim_of(Link.CLUSTERIP, opens=True)
    gatekeeper.require_untried(claim)
    gatekeeper.shut(Link.CLUSTERIP, "no answer")
    gatekeeper.require_untried(claim)
    gatekeeper.fail(Link.CLUSTERIP)
    with pytest.raises(Blocked, match="no answer"):
        gatekeeper.require_untried(claim)
    with pytest.raises(Blocked, match="no answer"):
        gatekeeper.require_untried(claim_of(Link.DNS, opens=True))
    gatekeeper.require_untried(claim_of(Link.NODEPORT, opens=True))


def test_claim_is_tried_if_its_gate_was_shut_before_another_link_and_none_of_its_link_has_failed(tmp_path: Path) -> None:
    chain, waiter, _ = up_to(*healthy())
    gatekeeper, other = Gatekeeper(tmp_path), Gatekeeper(tmp_path)
    gatekeeper.shut(Link.CLUSTERIP, "every third request lost")
    links = [Link.SERVICE, Link.CLUSTERIP]
    gatekeeper.admit(links, chain, waiter, own=Link.CLUSTERIP)
    with pytest.raises(Blocked, match="every third request lost"):
        gatekeeper.admit(links, chain, waiter, own=Link.DNS)
    other.fail(Link.CLUSTERIP)
    with pytest.raises(Blocked, match="every third request lost"):
        gatekeeper.admit(links, chain, waiter, own=Link.CLUSTERIP)


def test_claim_whose_object_is_refused_is_tried_and_fails() -> None:
    gatekeeper = Gatekeeper()
    gatekeeper.refuse({Link.SERVICE: "Service web is refused: no"})
    gatekeeper.require_untried(claim_of(Link.SERVICE, opens=True))
