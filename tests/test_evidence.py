import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from kubechain.claims.claim import Link
from kubechain.claims.records import ClaimRecord
from kubechain.core import run, settings
from kubechain.core.progress import Progress
from kubechain.diagnostics.evidence import events, evidence, graph, manifests, summary
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.objects import KubeObject
from kubechain.kube.shape import Shape
from kubechain.observe.changes import Change, ObjectChange, latest
from kubechain.observe.history import History
from kubechain.observe.timeline import milestones
from kubechain.observe.wait import Waiter
from kubechain.observe.watcher import KINDS, Watcher
from kubechain.pytest.outcomes import chain_of as chain_of_claim
from kubechain.pytest.outcomes import evidence_on
from kubechain.pytest.state import RunState, claim_state
from kubechain.workload.chain import Chain
from tests.fakes import (
    HASH,
    RS_NAME,
    FakeApi,
    FakeClock,
    changed,
    deployment,
    endpoint_slice,
    endpoints,
    entry,
    healthy,
    not_ready,
    pod,
    record,
    replica_set,
    service,
    state,
    thing,
)
from tests.test_keyboard_interrupt import armed


def logged(*changes: tuple[Change, KubeObject]) -> list[ObjectChange]:
    clock = FakeClock()
    history = History("ns", clock)
    for change, resource in changes:
        history.record(change, resource)
        clock.time += 1
    return history.log()


def test_latest_has_the_last_version_of_existing_objects() -> None:
    newer = changed(pod(0), "metadata.resourceVersion", "999")
    log = logged(("ADDED", pod(0)), ("ADDED", pod(1)), ("MODIFIED", newer), ("DELETED", pod(1)))
    assert latest(log).objects == (newer,)


def test_owner_graph_shows_each_object_once_below_its_controller() -> None:
    lines = graph(state(*healthy()))
    assert lines[:4] == [
        "Deployment/web (2/2 ready)",
        f"  ReplicaSet/{RS_NAME} (2/2 ready)",
        f"    Pod/{RS_NAME}-0 (ready, on node-0)",
        f"    Pod/{RS_NAME}-1 (ready, on node-1)",
    ]
    assert "Service/web (NodePort 10.96.0.9)" in lines
    assert "  EndpointSlice/web-x1 (2/2 ready)" in lines
    assert "Endpoints/web (2/2 ready)" in lines
    assert len(lines) == len(healthy())


def test_object_without_its_owner_is_a_root() -> None:
    lines = graph(state(pod(0), replica_set()))
    assert lines == [f"ReplicaSet/{RS_NAME} (2/2 ready)", f"  Pod/{RS_NAME}-0 (ready, on node-0)"]
    assert graph(state(pod(0)))[0].startswith("Pod/")


def test_summary_shows_what_is_not_ready() -> None:
    assert summary(changed(replica_set(), "status", {})) == "(0/2 ready)"
    assert "ContainersReady is False" in summary(not_ready(pod(0)))
    assert "on no node" in summary(changed(pod(0), "spec", {}))
    assert summary(endpoints()) == "(no address)"
    assert summary(endpoint_slice(endpoints=None)) == "(no address)"
    listed = [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"], "conditions": {"ready": False}}]
    assert summary(endpoint_slice(endpoints=listed)) == "(1/2 ready)"
    subset = {"addresses": [{"ip": "10.0.0.1"}], "notReadyAddresses": [{"ip": "10.0.0.2"}]}
    assert summary(thing("Endpoints", "web", subsets=[subset])) == "(1/2 ready)"
    assert summary(changed(service(), "spec", {"type": "ClusterIP", "clusterIP": "None"})) == "(ClusterIP None)"


def event(name: str, **fields: Any) -> KubeObject:
    about = {"kind": "Pod", "name": "web-0"}
    return thing("Event", name, involvedObject=about, type="Warning", reason="BackOff", message="again", **fields)


def test_events_are_sorted_by_any_of_their_time_fields() -> None:
    lines = events(
        state(
            event("c", lastTimestamp="2026-01-01T00:00:03Z"),
            event("a", lastTimestamp=None, eventTime="2026-01-01T00:00:01.5Z"),
            event("b", lastTimestamp="2026-01-01T00:00:02Z"),
        )
    )
    assert [line[:19] for line in lines] == ["2026-01-01T00:00:01", "2026-01-01T00:00:02", "2026-01-01T00:00:03"]
    assert lines[1] == "2026-01-01T00:00:02Z Warning Pod/web-0 BackOff: again"


def test_manifests_are_yaml_without_managed_fields() -> None:
    text = manifests(state(thing("Pod", "a", managedFields=[{"manager": "kubelet"}]), deployment()))
    kinds = [body["kind"] for body in yaml.safe_load_all(text)]
    assert kinds == ["Deployment", "Pod"]
    assert "managedFields" not in text


def test_milestones_are_the_first_moments_of_each_link() -> None:
    bare = changed(deployment(), "status", {})
    pending = changed(pod(0), "status.conditions", [])
    scheduled = changed(not_ready(pod(0)), "metadata.resourceVersion", "900")
    log = logged(
        ("ADDED", service()),
        ("ADDED", bare),
        ("ADDED", replica_set()),
        ("ADDED", pending),
        ("MODIFIED", scheduled),
        ("MODIFIED", changed(pod(0), "metadata.resourceVersion", "901")),
        ("ADDED", endpoint_slice()),
        ("MODIFIED", endpoint_slice(entry(pod(0)))),
        ("MODIFIED", deployment()),
        ("ADDED", pod(1)),
    )
    assert [(each.what, each.seconds) for each in milestones(log, "web")] == [
        ("Deployment created", 0.0),
        ("ReplicaSet created", 1.0),
        ("Pod created", 2.0),
        ("Pod scheduled", 3.0),
        ("Pod ready", 4.0),
        ("address in EndpointSlice", 6.0),
        ("Deployment complete", 7.0),
    ]


def test_milestones_end_at_the_broken_link() -> None:
    found = milestones(logged(("ADDED", deployment(status={})), ("ADDED", replica_set())), "web")
    assert [each.what for each in found] == ["Deployment created", "ReplicaSet created"]
    assert found[1].as_json() == {"what": "ReplicaSet created", "seconds": 1.0}


def test_without_the_deployment_there_is_no_timeline() -> None:
    assert milestones(logged(("ADDED", pod(0))), "web") == []
    assert milestones([], HASH) == []


def chain_of(answer: Callable[[str, str, Any], str], *found: KubeObject, kinds: tuple[str, ...] = KINDS) -> Chain:
    clock = FakeClock()
    history = History("ns", clock)
    for each in found:
        history.record("ADDED", each)
    observer = cast("Watcher", SimpleNamespace(history=history, kinds=kinds))
    return Chain(FakeApi(answer), "ns", observer, Waiter(clock), (), "host", "n", frozenset(), "c", 2)


def logs_of(chain: Chain) -> dict[str, str]:
    return {each.title: each.text for each in evidence(chain) if each.title.startswith("log of ")}


def test_evidence_without_the_right_to_events_and_logs_says_so() -> None:
    def refuse(*_: object) -> str:
        raise ApiRefused(403, "Forbidden", "pods/log is forbidden")

    found = {each.title: each.text for each in evidence(chain_of(refuse, pod(0), kinds=("Pod",)))}
    assert found["events"] == "events are not watched: needs the rights to list events, watch events"
    assert found[f"log of {pod(0).name}"] == "no log: API server: 403 Forbidden: pods/log is forbidden"
    assert "events" not in {each.title for each in evidence(chain_of(refuse, pod(0)))}


def test_events_of_others_in_the_namespace_are_no_evidence() -> None:
    events_there = [
        thing("Event", each.name, involvedObject={"kind": "Pod", "name": each.name, "uid": each.uid}, message=f"of {each.name}")
        for each in (pod(0), thing("Pod", "web-shop"))
    ]
    chain = chain_of(lambda _method, _path, _body: "a line", pod(0), *events_there)
    chain.api.shape = Shape("kubechain-1")
    assert "of web-shop" in texts(chain)
    chain.api.shape = Shape("kubechain-1", marks={"kubechain/run": "1"})
    assert "of web-shop" not in texts(chain)
    assert f"of {pod(0).name}" in texts(chain)


def texts(chain: Chain) -> str:
    return "\n".join(each.text for each in evidence(chain))


def test_silent_kubelet_gets_one_request_for_a_log() -> None:
    asked: list[str] = []

    def silent(_method: str, path: str, _body: Any) -> str:
        asked.append(path)
        raise ApiUnavailable("timed out")

    first, second = pod(0), pod(1)
    second = changed(second, "spec.nodeName", first.at("spec.nodeName"))
    found = logs_of(chain_of(silent, first, second))
    assert len(asked) == 1
    assert sorted(found.values()) == [f"no log: {first.at('spec.nodeName')} does not answer", "no log: timed out"]


def test_refused_log_does_not_prevent_other_logs() -> None:
    def answer(_method: str, path: str, _body: Any) -> str:
        if pod(0).name in path:
            raise ApiRefused(400, "BadRequest", "the container waits")
        return "hello"

    found = logs_of(chain_of(answer, pod(0), changed(pod(1), "spec.nodeName", pod(0).at("spec.nodeName"))))
    assert found[f"log of {pod(1).name}"] == "hello"
    assert "the container waits" in found[f"log of {pod(0).name}"]


def test_log_before_the_last_restart_is_included() -> None:
    asked: list[str] = []
    chain_of_one = chain_of(lambda _method, path, _body: asked.append(path) or "line\n", pod(0))
    assert logs_of(chain_of_one) == {f"log of {pod(0).name}": "line\n"}
    restarted = changed(pod(0), "status.containerStatuses.0.restartCount", 1)
    assert logs_of(chain_of(lambda _method, path, _body: asked.append(path) or "line\n", restarted)) == {
        f"log of {pod(0).name}": "line\nline\n"
    }
    assert len(asked) == 3


def test_after_a_signal_no_more_logs_are_read_and_the_rest_is_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(_method: str, path: str, _body: Any) -> str:
        asked.append(path)
        if len(asked) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return "line\n"

    chain = chain_of(answer, pod(0), pod(1), thing("Pod", "client"))
    with armed() as found:
        monkeypatch.setattr("kubechain.diagnostics.evidence.INTERRUPTS", found)
        found.hold()
        sections = {each.title: each.text for each in evidence(chain)}
        with pytest.raises(KeyboardInterrupt):
            found.release()
    cut = "not read: the run was interrupted"
    assert [text for title, text in sections.items() if title.startswith("log of ")] == ["line\n", cut, cut]
    assert {"owner graph", "objects"} <= sections.keys()
    assert len(asked) == 2


def test_claims_blocked_by_one_link_of_one_chain_share_one_evidence() -> None:
    state = RunState(settings.load(), run.new(Path("out")), Progress())
    chain = chain_of(lambda _method, _path, _body: "", pod(0))
    failed = record(Link.PODS, "failed")
    blocked = record(Link.DNS, "blocked", waits_for="PODS")
    other = record(Link.DNS, "blocked", waits_for="SERVICE")

    def shown(found: ClaimRecord, on: Chain) -> bool:
        item = SimpleNamespace(stash=pytest.Stash(), funcargs={"rolled": SimpleNamespace(chain=on)})
        return bool(evidence_on(cast("pytest.Item", item), found, state))

    assert [shown(each, chain) for each in (failed, blocked, blocked, other, other, failed)] == [
        True, False, False, True, False, True,
    ]  # fmt: skip
    assert shown(blocked, replace(chain, namespace="another"))


@pytest.mark.parametrize("of", ["claim", "fixture", "scenario", "none"])
def test_chain_of_a_claim_comes_from_its_fixtures(of: str) -> None:
    chain = chain_of(lambda _method, _path, _body: "")
    values = {"fixture": {"x": 1, "chain": chain}, "scenario": {"rolled": SimpleNamespace(chain=chain)}}
    item: Any = SimpleNamespace(stash=pytest.Stash(), funcargs=values.get(of, {"watch": lambda: None}))
    if of == "claim":
        claim_state(item).chain = chain
    assert chain_of_claim(item) is (None if of == "none" else chain)
