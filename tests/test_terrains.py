"""What `make terrains` says of a run on a terrain, and that the records can be made and are documented."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from kubechain.conditions.condition import Result, unmet
from kubechain.core.errors import ExitCode, SetupError, Unmet
from kubechain.faults.admission_policies import Mutation
from kubechain.kube.objects import Json, KubeObject
from reports import catalogue
from tests.terrains import __main__ as command
from tests.terrains import runner
from tests.terrains.catalogue import TERRAINS
from tests.terrains.differences import Rule, tainted
from tests.terrains.ground import Ground
from tests.terrains.terrain import USUAL, Ended, Judged, Skip, Terrain, Tried, problems

CHANGED = "changed at admission: Service web spec.sessionAffinity ClientIP instead of None by MutatingAdmissionPolicy affinity"
SKIP = Skip("changed at admission: Service web spec.sessionAffinity", ("CHAIN-SERVICE-040",))
AFFINITY = Terrain("affinity", "changes at admission", "has affinity", skips=(SKIP,))


def ended(code: int = 0, verdict: str = "chain holds", seconds: float = 30.0, **claims: tuple[str, str]) -> Ended:
    return Ended(code, verdict, seconds, {f"CHAIN-{name.replace('_', '-')}": claim for name, claim in claims.items()})


def test_run_with_the_skips_of_its_record_is_right() -> None:
    assert problems(AFFINITY, ended(SERVICE_040=("skipped", CHANGED), PODS_010=("passed", "")), []) == []


def test_claim_that_is_not_skipped_is_reported_with_its_outcome() -> None:
    (wrong,) = problems(AFFINITY, ended(SERVICE_040=("passed", "")), [])
    assert wrong.startswith("expected CHAIN-SERVICE-040 to be skipped (")
    assert wrong.endswith("), got passed")


def test_skip_that_no_record_names_is_reported() -> None:
    assert problems(Terrain("a", "plain", "is"), ended(PODS_010=("skipped", "needs luck")), []) == [
        "expected no skip of CHAIN-PODS-010, got 'needs luck'"
    ]


def test_skip_for_another_reason_is_reported() -> None:
    (wrong,) = problems(AFFINITY, ended(SERVICE_040=("skipped", "needs luck")), [])
    assert wrong.startswith("expected the reason 'changed at admission")


def test_usual_skips_are_expected_of_the_claims_of_the_level() -> None:
    found = problems(Terrain("a", "plain", "is"), ended(IMAGE_020=("passed", "")))
    assert found == ["expected CHAIN-IMAGE-020 to be skipped (a kind cluster of this project), got passed"]


def test_refusal_must_have_the_words_and_the_exit_code_and_be_soon() -> None:
    refused = Terrain("a", "policies", "refuses", code=ExitCode.REFUSED, says="refuses .*'x'", seconds=10)
    assert problems(refused, ended(22, "the cluster refuses objects: policy 'x'", 9)) == []
    assert len(problems(refused, ended(1, "chain broken at PODS: x", 11))) == 3


def test_ids_are_unique_and_unknown_ones_are_refused() -> None:
    assert len({terrain.id for terrain in TERRAINS}) == len(TERRAINS)
    assert [terrain.id for terrain in command.chosen("restricted, plain")] == ["restricted", "plain"]
    assert command.chosen("") == [*TERRAINS]
    with pytest.raises(SetupError, match="no terrain nowhere"):
        command.chosen("plain,nowhere")


@pytest.mark.parametrize("terrain", TERRAINS, ids=lambda terrain: terrain.id)
def test_records_name_claims_that_exist_and_expressions_that_can_be_read(terrain: Terrain) -> None:
    known = {entry.claim.id for entry in catalogue.collect()}
    for skip in (*terrain.skips, *USUAL):
        assert not set(skip.claims) - known
        re.compile(skip.why)
    re.compile(terrain.says)


class Cluster:
    """The API server of a ground, which keeps what it is sent."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}

    def recreate(self, manifest: Json, namespace: str = "") -> None:
        assert not namespace
        self.objects[f"{manifest['kind']} {manifest['metadata']['name']}"] = manifest

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        assert not namespace
        self.objects.pop(f"{kind} {name}", None)


def test_policies_of_all_records_are_deleted_again() -> None:
    for terrain in TERRAINS:
        cluster = Cluster()
        for difference in terrain.differences:
            if isinstance(difference, (Rule, Mutation)):
                difference.inject(cast("Ground", cluster))
                assert len(cluster.objects) == 2
                difference.heal(cast("Ground", cluster))
        assert cluster.objects == {}


def test_no_sample_shows_by_itself_what_a_policy_adds() -> None:
    policies = [each for terrain in TERRAINS for each in terrain.differences if isinstance(each, Mutation)]
    assert [policy.name for policy in policies if policy.shows(KubeObject(policy.sample))] == []


@dataclass
class Refused:
    """A difference that the cluster refuses, and that can be undone."""

    healed: int = 0

    def inject(self, _ground: Ground, /) -> None:
        raise SetupError("refused by the cluster")

    def in_effect(self, _ground: Ground, /) -> Result:
        return unmet("as before")

    def heal(self, _ground: Ground, /) -> None:
        self.healed += 1


class Still:
    """A ground whose checks are asked once."""

    def until(self, what: str, check: Callable[[Still], Result]) -> None:
        if not check(self).met:
            raise Unmet(what)

    def note(self, *_names: str) -> None:
        """Keep nothing."""


def test_terrain_that_cannot_be_made_is_undone(tmp_path: Path) -> None:
    difference = Refused()
    terrain = Terrain("a", "plain", "is", (difference,))
    judged = runner.judged(cast("Ground", Still()), terrain, tmp_path / "a")
    assert (judged.ended.code, judged.wrong, difference.healed) == (-1, ["refused by the cluster"], 1)


class Nodes:
    """The workers of a ground, and the patches that they get."""

    def __init__(self) -> None:
        self.bodies: dict[str, Json] = {name: {"metadata": {"name": name}, "spec": {}} for name in ("a", "b")}
        self.api = self

    def workers(self) -> list[KubeObject]:
        return [KubeObject(body) for body in self.bodies.values()]

    def patch(self, kind: str, namespace: str, name: str, patch: Json) -> None:
        assert (kind, namespace) == ("Node", "")
        spec: Json = {**self.bodies[name]["spec"], **patch["spec"]}
        self.bodies[name]["spec"] = {key: value for key, value in spec.items() if value is not None}


def test_taint_is_put_on_as_many_workers_as_stated_and_taken_from_all() -> None:
    nodes, taint = Nodes(), tainted(1)
    ground = cast("Ground", nodes)
    assert not taint.in_effect(ground).met
    taint.inject(ground)
    assert taint.in_effect(ground).met
    assert [len(node.at("spec.taints", [])) for node in nodes.workers()] == [1, 0]
    taint.heal(ground)
    assert not taint.in_effect(ground).met


def test_environment_of_the_runs_holds_no_setting_but_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECHAIN_CLUSTER", "mine")
    monkeypatch.setenv("KUBECHAIN_CACHE", "/cache")
    assert {name for name in runner.environment() if name.startswith("KUBECHAIN_")} == {"KUBECHAIN_CACHE"}


def test_table_has_a_row_for_each_terrain_and_says_what_is_wrong_and_what_was_found() -> None:
    dns = Tried("dns-gone", Ended(1, "chain broken at DNS: x", 41.2, {}, "DNS"), [], "still there")
    right = Judged(AFFINITY, ended(SERVICE_040=("skipped", CHANGED)), [], [dns])
    text = command.table([right, Judged(AFFINITY, ended(1), ["one | two"])])
    assert text.splitlines()[2:] == [
        "| affinity | 30 | chain holds | 1 | dns-gone: DNS (41 s) | fault dns-gone: not healed: still there |",
        "| affinity | 30 | chain holds | 0 |  | one \\| two |",
    ]
