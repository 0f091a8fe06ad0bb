"""The proof of the role for one namespace, on an API server on loopback that grants exactly the role."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubechain.claims.requirements import rights_of
from kubechain.claims.rights import CORE, LIVING, RENEWAL, SWEEP
from kubechain.cluster.access import REVIEWS
from kubechain.core.run import RUN_LABEL
from kubechain.kube.rights import Right, right
from reports import catalogue, rights
from tests.hostile.access import ADMIN, CONTEXT, with_token
from tests.hostile.admission import admitted
from tests.hostile.cluster import Cluster, cluster
from tests.hostile.furniture import namespace
from tests.ledger import Ledger
from tests.rights import __main__ as rig
from tests.rights import deprived
from tests.rights.account import Admin, named_anew
from tests.rights.audit_log import uses
from tests.rights.proofs import ABSENT, Proof
from tests.rights.proofs import namespace as prove_namespace
from tests.rights.rows import Row, prints

FEW = "CHAIN-DEPLOYMENT-010,CHAIN-PODS-010,CHAIN-SERVICE-010,CHAIN-API-010,CHAIN-ENV-010,CHAIN-DELETION-010"
# What a run in one namespace needs whatever its claims are, and what clean needs there.
OF_EVERY_RUN = (CORE.inside or frozenset[Right]()) | rights_of(part.requirement for part in (RENEWAL, SWEEP, LIVING))


@dataclass(frozen=True)
class Hands(Admin):
    """What kubectl does for the proof, done to the objects of an API server on loopback."""

    server: Cluster

    def run(self, *words: str, given: str = "") -> str:
        """Apply, label or list objects."""
        store = self.server.store
        if words[0] == "apply":
            for body in json.loads(given)["items"]:
                store.create(admitted(store, self.server.core.addresses, body, None))
        if words[0] == "label":
            changed = store.required(("ConfigMap", CONTEXT, words[2]))
            changed["metadata"]["labels"] |= dict(each.split("=") for each in words if "=" in each)
        if words[0] != "get":
            return ""
        found = [each for each in store.objects.values() if RUN_LABEL in each["metadata"].get("labels", {})]
        return "\n".join(f"{each['kind']}/{each['metadata']['name']}" for each in found)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Cluster]:
    def prepare(made: Cluster) -> None:
        made.store.create(namespace(CONTEXT))
        made.core.absent = ABSENT
        made.api.only_in = CONTEXT

    with cluster(tmp_path, with_token(tmp_path), prepare) as made:
        yield made


def audit(server: Cluster) -> list[str]:
    """Return what an audit log has of the requests."""
    lines: list[str] = []
    for each in server.api.requests:
        if not each.place.kind or REVIEWS in each.path:
            continue
        space = each.place.namespace or (each.place.name if each.place.kind == "Namespace" else "")
        sub = each.place.sub.partition("/")[0]
        permitted = space == CONTEXT and server.api.allows(each.user, each.verb, "/".join(filter(None, [each.place.plural, sub])))
        reference = {"resource": each.place.plural, "namespace": space, **({"subresource": sub} if sub else {})}
        group = each.place.version.partition("/")[0] if "/" in each.place.version else ""
        lines.append(
            json.dumps(
                {"stage": "ResponseComplete", "verb": each.verb, "user": {"username": each.user}, "requestURI": each.path,
                 "userAgent": each.headers.get("User-Agent", ""), "objectRef": {**reference, "apiGroup": group},
                 "responseStatus": {"code": 101 if sub in ("exec", "portforward") else 200 if permitted else 403}}
            )
        )  # fmt: skip
    return lines


@pytest.mark.whole_runs
def test_run_in_one_namespace_asks_for_nothing_else_and_uses_what_every_such_run_has(
    server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = rights.roles([(entry.nodeid, entry.claim) for entry in catalogue.collect()], CONTEXT)["namespace"]
    granted = {f"{each.verb} {each.resource}" for each in role.rights}
    server.api.allows = lambda _user, verb, resource: f"{verb} {resource}" in granted
    monkeypatch.setenv("KUBECHAIN_ONLY", FEW)
    proof = Proof(Hands(server.kubeconfig, CONTEXT, server), CONTEXT, server.kubeconfig, tmp_path, [])
    prove_namespace(proof)
    found = uses(audit(server), ADMIN)
    assert (found.refused, proof.failed) == ([], [])
    assert sorted({rig.plain(role, each) for each in rig.unused_of(role, found)} & OF_EVERY_RUN) == []
    assert [each for each in server.store.objects.values() if RUN_LABEL in each["metadata"].get("labels", {})] == []


def test_rights_of_one_namespace_are_taken_without_its_name() -> None:
    role = rights.roles([(entry.nodeid, entry.claim) for entry in catalogue.collect()])["namespace"]
    taken = {str(each) for each in rig.takeable(role, ["all"])}
    assert {"get pods/proxy", "patch configmaps", "delete networkpolicies"} <= taken
    assert not taken & {"create pods", "list services", "get namespaces"}
    assert [str(each) for each in rig.takeable(role, ["get pods/proxy", "create pods"])] == ["get pods/proxy"]
    proxied = {claim.id for claim in role.claims if deprived.needs(role, claim, right("get", "pods/proxy"))}
    assert "CHAIN-API-020" in proxied
    assert "CHAIN-PODS-010" not in proxied


def test_objects_of_a_proof_in_one_namespace_begin_with_it() -> None:
    role = rights.roles([(entry.nodeid, entry.claim) for entry in catalogue.collect()])["namespace"]
    name, placed, objects = named_anew(role)
    assert [each["kind"] for each in objects] == ["Namespace", "ServiceAccount", "Role", "RoleBinding"]
    assert {each["metadata"].get("namespace", name) for each in objects} == {name}
    assert {each.namespace for each in placed.rights} == {name}
    assert named_anew(role)[0] != name


def test_rows_are_kept_as_they_end_and_not_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, ran = tmp_path / "ledger.jsonl", list[str]()

    def row(what: str, *problems: str) -> Row:
        ran.append(what)
        return Row(what, "3 skipped", problems)

    def interrupted() -> None:
        with prints([], Ledger(file, "c1")) as run:
            run("role run", lambda: row("role run"))
            run("run without get pods", lambda: row("run without get pods", "CHAIN-X-010 is skipped"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "| role run | 3 skipped | yes |" in capsys.readouterr().out
    rows: list[Row] = []
    with prints(rows, Ledger(file, "c1")) as run:
        for what in ("role run", "run without get pods"):
            run(what, lambda what=what: row(what))
    assert ran == ["role run", "run without get pods", "run without get pods"]
    assert "2 rows, 0 with problems" in capsys.readouterr().out
