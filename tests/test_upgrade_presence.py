"""Nodes that come and go: from when to when a route counts, and that a loss on a Node that stays is found."""

from dataclasses import replace
from typing import Any

import pytest

from kubechain.core.errors import HarnessError
from kubechain.kube.objects import KubeObject
from kubechain.observe.changes import Change, ObjectChange
from kubechain.probes.load import Sample, State, Tally
from kubechain.upgrade.availability import MOST_UNASKED_SECONDS, kept_up, undecidable
from kubechain.upgrade.figures import figures, line
from kubechain.upgrade.model import AsideSamples, NodeSpan, Route, RouteSamples, UpgradeRecord
from kubechain.upgrade.presence import ASKED_SECONDS, LATE_SECONDS, continued, counted, node_spans
from tests.fakes import changed as altered
from tests.fakes import conditions, thing

BEGAN, ENDED = 1000.0, 1300.0
UP: State = "up"
Step = tuple[float, Change, KubeObject]
Stretch = tuple[State, float, float]


def node(
    name: str = "a", *, uid: str = "", ready: str = "True", boot: str = "b1", cordoned: bool = False, **over: Any
) -> KubeObject:
    spec = {"unschedulable": True} if cordoned else {}
    status = {"conditions": conditions(Ready=ready), "nodeInfo": {"bootID": boot}}
    return thing("Node", name, uid=uid or f"uid-{name}", spec=spec, status=status, **over)


def spans(*steps: Step, **over: Any) -> list[tuple[str, float, float, str]]:
    log = [ObjectChange(number, at, at, change, each) for number, (at, change, each) in enumerate(steps, 1)]
    return [(span.uid, span.start, span.end, span.ended) for span in node_spans(log, BEGAN, ENDED, **over)]


def added(at: float, each: KubeObject) -> Step:
    return at, "ADDED", each


def changed(at: float, each: KubeObject) -> Step:
    return at, "MODIFIED", each


FIRST = added(990, node())


def test_node_counts_from_ready_to_cordon_not_ready_or_deletion_each_told_apart() -> None:
    joined = added(1100, node(ready="False")), changed(1110, node())
    assert spans(FIRST) == [("uid-a", BEGAN, ENDED, "")]
    assert spans(*joined) == [("uid-a", 1110, ENDED, "")]
    assert spans(*joined, changed(1200, node(cordoned=True))) == [("uid-a", 1110, 1200, "cordoned")]
    assert spans(FIRST, changed(1200, node(ready="Unknown"))) == [("uid-a", BEGAN, 1200, "not ready")]
    assert spans(FIRST, (1200, "DELETED", node())) == [("uid-a", BEGAN, 1200, "deleted")]
    drained = changed(1200, node(cordoned=True)), changed(1210, node(ready="False", cordoned=True)), (1220.0, "DELETED", node())
    assert spans(FIRST, *drained) == [("uid-a", BEGAN, 1200, "cordoned")]  # pyright: ignore[reportArgumentType]
    assert spans(FIRST, changed(1200, node(deletionTimestamp="2026-01-01T00:00:00Z"))) == [("uid-a", BEGAN, 1200, "cordoned")]


def test_node_that_an_autoscaler_drains_is_as_good_as_cordoned() -> None:
    for key in ("ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted"):
        tainted = altered(node(), "spec.taints", [{"key": key, "effect": "NoSchedule"}])
        assert spans(FIRST, changed(1200, tainted), (1220, "DELETED", tainted)) == [("uid-a", BEGAN, 1200, "cordoned")]
    other = altered(node(), "spec.taints", [{"key": "dedicated", "effect": "NoSchedule"}])
    assert spans(FIRST, changed(1200, other)) == [("uid-a", BEGAN, ENDED, "")]


def test_cordon_that_is_lifted_changes_nothing_unless_the_machine_restarted_or_was_not_ready() -> None:
    cordon, lifted = changed(1100, node(cordoned=True)), changed(1150, node())
    assert spans(FIRST, cordon, lifted) == [("uid-a", BEGAN, ENDED, "")]
    twice = spans(FIRST, cordon, lifted, changed(1200, node(cordoned=True)), changed(1210, node()))
    assert twice == [("uid-a", BEGAN, ENDED, "")]
    parted = [("uid-a", BEGAN, 1100, "cordoned"), ("uid-a", 1150, ENDED, "")]
    assert spans(FIRST, cordon, changed(1150, node(boot="b2"))) == parted
    assert spans(FIRST, cordon, changed(1120, node(cordoned=True, boot="b2")), changed(1150, node(boot="b2"))) == parted
    assert spans(FIRST, cordon, changed(1120, node(cordoned=True, ready="False")), lifted) == parted
    assert spans(FIRST, cordon, lifted, restarted=("a",)) == parted
    assert spans(FIRST, cordon, lifted, restarted=("b",)) == [("uid-a", BEGAN, ENDED, "")]


def test_node_of_the_same_name_with_another_uid_is_another_node() -> None:
    parts = [("uid-a", BEGAN, 1100, "deleted"), ("other", 1100, ENDED, "")]
    assert spans(FIRST, changed(1100, node(uid="other"))) == parts
    assert spans(FIRST, (1100, "DELETED", node()), added(1100, node(uid="other"))) == parts


def test_virtual_nodes_never_count_and_one_that_is_not_ready_blocks_nothing() -> None:
    virtual = added(990, node("v", labels={"type": "virtual-kubelet"}))
    assert spans(FIRST, virtual, added(990, node("lost", ready="Unknown"))) == [("uid-a", BEGAN, ENDED, "")]


def test_what_was_listed_at_first_was_so_since_the_beginning() -> None:
    assert spans(added(1100, node()), listed=1100.0) == [("uid-a", BEGAN, ENDED, "")]
    assert spans(added(1100, node()), changed(1200, node(cordoned=True)), listed=1100.0)[0][1:] == (BEGAN, 1200, "cordoned")


def test_interrupted_watch_is_continued() -> None:
    earlier = [NodeSpan("a", "a", 1000, 1050), NodeSpan("b", "b", 1000, 1020, "cordoned")]
    now = [NodeSpan("a", "a", 1000, 1300), NodeSpan("c", "c", 1100, 1300)]
    assert continued(earlier, now) == (earlier[0], earlier[1], NodeSpan("a", "a", 1050, 1300), NodeSpan("c", "c", 1100, 1300))


def tally(*stretches: Stretch, start: float = BEGAN, end: float = ENDED) -> Tally:
    """Return ten samples a second, up except in these stretches."""

    def state(at: float) -> State:
        states: list[State] = [state for state, first, last in stretches if first <= at < last]
        return states[0] if states else UP

    times = [start + number / 10 for number in range(round((end - start) * 10))]
    return Tally("x", tuple(Sample(at, at + 0.01, state(at), "" if state(at) == "up" else "refused") for at in times))


def route(*uids: str, what: str = "a", place: str = "") -> Route:
    return Route("NodePort", what, place, reuse=False, nodes=uids)


STAYS = NodeSpan("stays", "stays", BEGAN, ENDED)
LEAVES = NodeSpan("leaves", "leaves", BEGAN, 1100, "cordoned")
DIES = NodeSpan("dies", "dies", BEGAN, 1100, "not ready")
JOINS = NodeSpan("joins", "joins", 1200, ENDED)
NODES = (STAYS, LEAVES, DIES, JOINS)


def seen(of: Route, samples: Tally) -> RouteSamples:
    found = counted(of, samples, NODES, BEGAN, ENDED)
    assert found is not None
    return found


def record(*routes: RouteSamples) -> UpgradeRecord:
    return UpgradeRecord(("1", "2"), BEGAN, ENDED, routes, (), (), 0, 0, 1, upgraded_by_this_run=False, nodes=NODES)


def lost(*routes: RouteSamples) -> str:
    result = kept_up("NodePort")(record(*routes))
    return "" if result.met else result.got


def test_losses_of_a_node_that_leaves_count_until_its_cordon_and_stand_aside_after_it() -> None:
    gone = seen(route("leaves"), tally(("down", 1150, ENDED)))
    assert (gone.windows, len(gone.tally.samples), len(gone.tally.lost)) == (((BEGAN, 1100.0),), 1000, 0)
    assert gone.aside == {"cordoned": AsideSamples(2000, 1500)}
    assert lost(gone) == ""
    assert "10 of 1,000 lost" in lost(seen(route("leaves"), tally(("down", 1050, 1051), ("down", 1150, ENDED))))


def test_three_seconds_lost_on_a_node_that_stays_are_found_while_others_come_and_go() -> None:
    others = [seen(route("leaves"), tally(("down", 1150, ENDED))), seen(route("joins"), tally(("down", BEGAN, 1203)))]
    stays = seen(route("stays"), tally(("down", 1120, 1123)))
    message = lost(*others, stays)
    assert "30 of 3,000 lost" in message
    assert "down for 3.0 s (+-0.1 s)" in message
    (outage,) = figures(record(stays), stays).outages
    assert outage.seconds == pytest.approx(3, abs=0.2)
    assert lost(*others) == ""


def test_not_ready_is_told_from_a_cordon_and_a_machine_that_died_counts_until_it_was_seen() -> None:
    dead = seen(route("dies"), tally(("down", 1060, ENDED)))
    assert dead.aside == {"not ready": AsideSamples(2000, 2000)}
    assert "400 of 1,000 lost" in lost(dead)
    # Its own sampler ends with it, and knows nothing of the time until the Node is said to be not Ready.
    inside = seen(route("dies", place="dies"), tally(end=1060))
    assert inside.windows[0][1] == pytest.approx(1060, abs=0.2)
    assert lost(inside) == ""


def test_sampler_that_was_silent_long_before_its_node_was_lost_has_not_ended_with_it() -> None:
    lost_late = NodeSpan("late", "late", BEGAN, BEGAN + 1000, "not ready")
    for silent, decided in ((LATE_SECONDS - 1, True), (LATE_SECONDS + 1, False)):
        samples = tally(end=lost_late.end - silent)
        found = counted(route("late", place="late"), samples, [lost_late], BEGAN, BEGAN + 2000)
        assert found is not None
        assert undecidable(replace(record(found), ended=BEGAN + 2000), found) is not decided


def test_new_node_counts_from_its_first_answer_and_must_answer_within_seconds_of_ready() -> None:
    refused = ("down", BEGAN, 1202.5)
    quick = seen(route("joins"), tally(refused))
    assert quick.windows == ((1202.5, ENDED),)
    assert lost(quick) == ""
    slow = seen(route("joins"), tally(("down", BEGAN, 1207)))
    assert slow.windows == ((1200 + ASKED_SECONDS, ENDED),)
    assert "20 of 950 lost" in lost(slow)
    # The sampler in a Pod waited for its image.
    late = seen(route("joins", place="joins"), tally(start=1230))
    assert late.windows == ((1230, ENDED),)
    assert lost(late) == ""


def test_node_that_nobody_asked_is_undecided_unless_it_was_short() -> None:
    never = counted(route("joins"), Tally("x", ()), NODES, BEGAN, ENDED)
    assert never is not None
    assert undecidable(record(never), never)
    assert counted(route("brief"), Tally("x", ()), [NodeSpan("brief", "b", 1290, ENDED)], BEGAN, ENDED) is None
    much_too_late = seen(route("joins"), tally(start=1290))
    assert undecidable(record(much_too_late), much_too_late)


@pytest.mark.parametrize("of", [route("stays"), route(), route("stays", what="b", place="c")])
def test_route_that_did_not_answer_before_the_change_is_undecided_whatever_it_does_later(of: Route) -> None:
    before = BEGAN - 3
    for silent in (tally(("down", before, ENDED), start=before), tally(("down", before, 1100), start=before)):
        found = seen(of, silent)
        assert not found.answered
        assert figures(record(found), found).within is None
        with pytest.raises(HarnessError, match=r"expected NodePort .* to answer before the change; no answer then; later"):
            lost(found)
        assert "NodePort: 1 route of 1 did not answer before the change" in line(record(found), "x")
    # One that the change took down at once, or that others lost besides.
    assert "3,000 of 3,000 lost" in lost(seen(of, tally(("down", BEGAN, ENDED), start=before)))
    assert "10 of 3,000 lost" in lost(found, seen(of, tally(("down", 1050, 1051), start=before)))


def test_node_that_comes_or_comes_back_need_not_have_answered_before() -> None:
    never = tally(("down", BEGAN - 3, ENDED), start=BEGAN - 3)
    assert seen(route("joins"), never).answered
    assert "lost" in lost(seen(route("joins"), tally(("down", 1200, ENDED), start=1201)))


def test_route_through_two_nodes_counts_while_both_serve() -> None:
    both = seen(route("stays", "leaves", place="leaves"), tally())
    assert both.windows == ((BEGAN, 1100.0),)
    assert counted(route("joins", "leaves"), tally(), NODES, BEGAN, ENDED) is None
    assert counted(route("unknown"), tally(), NODES, BEGAN, ENDED) is None


def test_node_port_that_nobody_asks_after_the_node_of_the_asking_pod_has_left_is_undecided() -> None:
    first = seen(route("stays", "leaves", what="stays", place="leaves"), tally())
    with pytest.raises(HarnessError, match=r"expected the nodePort of stays to be asked while it serves; not asked for 200 s"):
        lost(first)
    soon, late = (
        seen(route("stays", what="stays", place="stays"), tally(start=at)) for at in (1100 + MOST_UNASKED_SECONDS - 1, 1299)
    )
    assert lost(first, soon) == ""
    with pytest.raises(HarnessError, match="not asked for 199 s"):
        lost(first, late)
    # It was asked from another Node meanwhile, or the run was away.
    assert lost(first, late, seen(route("stays", what="stays"), tally())) == ""
    assert lost(first, replace(late, unseen=((1101.0, 1299.0),))) == ""
    assert "10 of 1,000 lost" in lost(seen(route("stays", "leaves", place="leaves"), tally(("down", 1050, 1051))))


def test_node_that_returns_counts_in_two_parts_and_no_outage_joins_them() -> None:
    returns = (NodeSpan("r", "r", BEGAN, 1100, "cordoned"), NodeSpan("r", "r", 1200, ENDED))
    found = counted(route("r"), tally(("down", 1101, 1201)), returns, BEGAN, ENDED)
    assert found is not None
    assert found.windows == ((BEGAN, 1100.0), (1201.0, ENDED))
    assert figures(record(found), found).outages == []
    assert lost(found) == ""
    assert not undecidable(record(found), found)


def test_line_says_what_was_lost_while_a_node_was_not_ready() -> None:
    text = line(record(seen(route("dies"), tally(("down", 1100, ENDED)))), "chain holds")
    assert "NodePort 0 of 1,000 lost (2,000 lost on Nodes that were not Ready)" in text
    assert "not Ready" not in line(record(seen(route("leaves"), tally(("down", 1150, ENDED)))), "chain holds")
