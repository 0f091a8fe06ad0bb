"""Hand-overs: from the history of a chain to counts and percentiles in run.json."""

import json
from typing import Any

import pytest

from kubechain.claims import chain_records as steps
from kubechain.claims.chain_records import ChainRecord, StepRecord
from kubechain.claims.claim import Link
from kubechain.claims.records import read_run
from kubechain.kube.objects import KubeObject
from kubechain.observe.changes import Change
from kubechain.observe.history import History
from kubechain.workload.hand_overs import hand_overs as record
from reports import hand_overs
from tests.fakes import (
    FakeClock,
    changed,
    conditions,
    deployment,
    endpoint_slice,
    entry,
    not_ready,
    pod,
    replica_set,
    run_record,
    thing,
)

RUNNING = [{"name": "nginx", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]
WAITING = [{"name": "nginx", "state": {"waiting": {"reason": "ContainerCreating"}}}]
READY = changed(pod(0), "status.containerStatuses", RUNNING)
NEW = changed(changed(READY, "status.conditions", []), "status.containerStatuses", [])
SCHEDULED = changed(NEW, "status.conditions", conditions(PodScheduled="True"))
CREATING = changed(SCHEDULED, "status.containerStatuses", WAITING)
STARTED = changed(not_ready(READY), "status.containerStatuses", RUNNING)
SLICE = endpoint_slice(entry(READY))
DELETING = changed(READY, "metadata.deletionTimestamp", "2026-01-01T00:00:30Z")
Step = tuple[float, Change, KubeObject]


def pulled(message: str) -> KubeObject:
    return thing("Event", "web.1", involvedObject={"uid": READY.uid}, reason="Pulled", message=message)


UP: list[Step] = [
    (0.0, "ADDED", deployment()),
    (0.1, "ADDED", replica_set()),
    (0.2, "ADDED", NEW),
    (0.3, "MODIFIED", SCHEDULED),
    (0.4, "MODIFIED", CREATING),
    (0.6, "ADDED", pulled('Container image "nginx" already present on machine')),
    (1.0, "MODIFIED", STARTED),
    (1.5, "MODIFIED", READY),
    (1.7, "ADDED", SLICE),
]
DOWN: list[Step] = [
    (9.0, "MODIFIED", DELETING),
    (9.1, "MODIFIED", endpoint_slice(entry(READY, ready=False))),
    (11.0, "DELETED", DELETING),
    (11.25, "MODIFIED", endpoint_slice()),
]


def chain_of(
    history: list[Step],
    answered: dict[Link, tuple[float, float]] | None = None,
    refused: tuple[tuple[float, float], ...] = (),
    *,
    loaded: bool = False,
    gap: bool = False,
) -> Any:
    clock, versions = FakeClock(), iter(range(1, 1000))
    kept, start = History("ns", clock), clock.time
    for at, change, resource in history:
        clock.time = start + at
        kept.record(change, changed(resource, "metadata.resourceVersion", str(next(versions))))
    times = {link: (start + asked, start + at) for link, (asked, at) in (answered or {}).items()}
    if gap:
        kept.restored("Pod", gap=True)
    closed = [(start + asked, start + at) for asked, at in refused]
    return record(kept, times, closed, loaded=loaded)


def taken(chain: ChainRecord) -> dict[str, tuple[float, float]]:
    return {step.what: (round(step.began, 3), round(step.ended, 3)) for step in chain.steps}


def test_each_step_begins_where_the_one_before_ended() -> None:
    assert taken(chain_of(UP)) == {
        "ReplicaSet created": (0.0, 0.1),
        "Pod created": (0.1, 0.2),
        "Pod scheduled": (0.2, 0.3),
        "image present": (0.3, 0.6),
        "containers started": (0.6, 1.0),
        "Pod ready": (1.0, 1.5),
        "address in EndpointSlice": (1.5, 1.7),
    }


def test_step_whose_watch_is_late_ends_with_the_step_that_proves_it() -> None:
    late: list[Step] = [*UP[:5], (1.0, "MODIFIED", STARTED), (1.1, "ADDED", pulled("Successfully pulled image")), *UP[7:]]
    found = taken(chain_of(late))
    assert (found["image present"], found["containers started"]) == ((0.3, 1.0), (1.0, 1.0))


def test_chain_ends_at_the_step_that_did_not_happen() -> None:
    assert list(taken(chain_of(UP[:4])))[-1] == "Pod scheduled"
    assert taken(chain_of(UP[:1])) == {}
    assert chain_of(UP[1:]) is None


def test_chain_of_which_versions_were_missed_has_no_record() -> None:
    assert chain_of(UP, gap=True) is None


def test_container_that_waits_has_not_started() -> None:
    assert "containers started" not in taken(chain_of(UP[:6]))


def test_pod_that_became_ready_is_followed_and_no_other() -> None:
    other = changed(changed(NEW, "metadata.uid", "other"), "metadata.name", "web-other")
    found = taken(chain_of([*UP[:2], (0.15, "ADDED", other), *UP[2:]]))
    assert found["Pod created"] == (0.1, 0.2)


def test_answer_counts_from_the_first_question_or_from_the_address() -> None:
    asked = {Link.CLUSTERIP: (1.0, 2.0), Link.NODEPORT: (3.0, 3.5), Link.DNS: (0.5, 0.75), Link.API: (0.0, 9.0)}
    found = taken(chain_of(UP, asked))
    assert found["clusterIP answers"] == (1.7, 2.0)
    assert found["each nodePort answers"] == (3.0, 3.5)
    assert found["name resolves"] == (0.5, 0.75)
    assert len(found) == 10


def test_end_of_a_pod_counts_from_its_deletion_until_no_slice_names_it() -> None:
    found = taken(chain_of([*UP, *DOWN]))
    assert (found["Pod gone"], found["address gone"]) == ((9.0, 11.0), (11.0, 11.25))


def test_address_that_went_before_its_pod_takes_no_time() -> None:
    found = taken(chain_of([*UP, DOWN[0], (10.0, "DELETED", SLICE), DOWN[2]]))
    assert found["address gone"] == (11.0, 11.0)


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        ((8.0, 10.5), (10.0, 10.5)),
        ((10.25, 10.5), (10.25, 10.5)),
        # The watch is late.
        ((8.0, 9.5), (9.5, 9.5)),
    ],
)
def test_node_ports_close_after_their_service_is_gone(refused: tuple[float, float], expected: tuple[float, float]) -> None:
    deleted: list[Step] = [*UP, (10.0, "DELETED", thing("Service", "web"))]
    assert taken(chain_of(deleted, refused=(refused,)))["each nodePort refuses"] == expected
    assert "each nodePort refuses" not in taken(chain_of(deleted))
    assert "each nodePort refuses" not in taken(chain_of(UP, refused=(refused,)))


@pytest.mark.parametrize(
    ("events", "loaded", "told"),
    [
        (UP, False, False),
        ([*UP[:5], (0.6, "ADDED", pulled('Successfully pulled image "nginx" in 1.2s'))], False, True),
        (UP[:5], False, None),
        (UP[:5], True, False),
    ],
)
def test_pull_of_the_image_is_told_by_its_event(events: list[Step], loaded: bool, told: bool | None) -> None:  # noqa: FBT001
    assert chain_of(events, loaded=loaded).pulled is told


def quick(start_up: float, *, pulled: bool | None = False, listed: bool = True) -> ChainRecord:
    made = [(steps.POD, 0.0, 1.0), (steps.STARTED, 1.0, 1.0 + start_up)]
    made += [(steps.READY, 1.0 + start_up, 2.0 + start_up), (steps.LISTED, 2.0 + start_up, 3.0 + start_up)] if listed else []
    return ChainRecord(namespace="n", pulled=pulled, steps=[StepRecord(what=w, began=b, ended=e) for w, b, e in made])


def test_hand_overs_have_count_and_percentiles_in_the_order_of_the_chain() -> None:
    found = hand_overs.summarized([quick(float(n)) for n in range(101)])
    assert [each.what for each in found] == [
        "Pod created", "containers started", "Pod ready", "address in EndpointSlice", "Pod start-up", "Pod up", "chain up",
    ]  # fmt: skip
    assert found[1].as_json() == {
        "what": "containers started", "count": 101, "p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0, "slo": None,
    }  # fmt: skip
    assert (found[-1].p50, found[-2].p50) == (53.0, 51.0)


def test_only_pods_that_pulled_nothing_count_for_the_slo() -> None:
    found = {each.what: each for each in hand_overs.summarized([quick(2.0), quick(9.0, pulled=True), quick(9.0, pulled=None)])}
    assert (found["Pod start-up"].count, found["Pod start-up"].max, found["Pod start-up"].slo) == (1, 2.0, 5.0)
    assert found["containers started"].count == 3


def test_run_without_chains_has_no_hand_overs() -> None:
    assert hand_overs.summarized([]) == []


def test_fifty_slowest_chains_are_kept_and_those_that_never_came_up_last() -> None:
    chains = [quick(float(n)) for n in range(60)]
    kept = hand_overs.shown([*chains, quick(1.0, listed=False)])
    assert len(kept) == 50
    assert [chain.ended(steps.LISTED) for chain in kept[:2]] == [62.0, 61.0]
    both = hand_overs.shown([quick(1.0, listed=False), quick(2.0)])
    assert [chain.ended(steps.LISTED) for chain in both] == [5.0, None]


def test_file_of_an_earlier_version_has_no_hand_overs() -> None:
    old = run_record(None, code=0).as_json()
    del old["handOvers"], old["chains"]
    run = read_run(json.dumps(old))
    assert (run.hand_overs, run.chains) == ([], [])
