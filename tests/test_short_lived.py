"""Claims that wait for an old DNS record to end, where the DNS of a cluster lets others keep its records for longer."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.core.errors import NotApplicable
from kubechain.probes.pod import PodProbe
from kubechain.workload.chain import Chain
from kubechain.workload.short_lived import require_short_lived
from suites.chain import test_7_changing_names as changing
from suites.chain import test_7_discovery as discovery
from tests.hostile import names
from tests.walkthrough.walking import clean_cluster, creating, factory_on


@pytest.mark.parametrize(("ttl", "owned"), [(30, False), (30, True), (3600, True)])
def test_record_of_the_usual_life_is_waited_for(ttl: int, *, owned: bool) -> None:
    assert told(ttl, owned=owned) == ttl


def test_record_that_lives_longer_on_a_cluster_of_others_skips_the_claim() -> None:
    with pytest.raises(NotApplicable, match="records that live for 30 s at most: web A lives for 60 s"):
        told(60, owned=False)


def told(ttl: int, *, owned: bool) -> int:
    def time_to_live(*_: object) -> int:
        return ttl

    probe = cast("PodProbe", SimpleNamespace(time_to_live=time_to_live))
    chain = cast("Chain", SimpleNamespace(admission=SimpleNamespace(owned=owned)))
    return require_short_lived(chain, probe, "web", "A", 1)


@pytest.mark.whole_runs
def test_each_claim_on_a_record_that_changes_asks_for_its_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "TTL", 60)
    claims: list[Callable[..., Any]] = [
        changing.test_alias_follows_a_changed_external_name,
        changing.test_name_follows_a_changed_type,
        discovery.test_name_follows_its_service,
        discovery.test_variables_grow_stale_while_names_do_not,
    ]
    with clean_cluster(tmp_path) as server, factory_on(server, tmp_path) as factory, factory.serving(factory.waiter()) as made:
        # What is known of a cluster of others, where nothing is known of admission.
        chain = replace(made, admission=None)
        for claim in claims:
            with creating() as create, pytest.raises(NotApplicable, match="lives for 60 s"):
                claim(chain, create, chain.waiter.eventually)
