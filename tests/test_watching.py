"""What the trial of the alerts says of rounds, faults and alerts, and when it injects faults."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Sequence

from kubechain.claims.claim import Link
from kubechain.results.fleet import State
from reports.deploy.monitoring import BROKEN_ROUNDS
from tests.watching.__main__ import planned
from tests.watching.records import BROKEN, NO_VERDICT, Episode, Notice, Round, Trouble, WatchingRecord, summed_up, table
from tests.watching.servers import Receiver

EPISODE = Episode(fault="dns-gone", at="DNS", began=100.0, injected=105.0, healed=230.0, over=300.0)
FIRED = Notice(at=225.0, name=BROKEN, link="DNS", firing=True)
RESOLVED = Notice(at=295.0, name=BROKEN, link="DNS", firing=False)


def rounds(*states: State) -> list[Round]:
    """Return rounds, one a minute from 0 on, each of 40 s."""
    return [Round(began=60.0 * n, ended=60.0 * n + 40, state=state, verdict="x") for n, state in enumerate(states)]


def judged(*notices: Notice, episodes: Sequence[Episode] = (EPISODE,)) -> WatchingRecord:
    return summed_up(rounds("holds", "holds", "broken", "broken", "holds"), episodes, notices, [])


def test_alert_is_right_if_it_comes_under_its_fault_and_is_resolved_after_it() -> None:
    record = judged(FIRED, RESOLVED)
    (found,) = record.episodes
    assert (found.alert, found.alert_rounds, found.alert_seconds) == ("KubechainLinkBroken DNS", 2, 120.0)
    assert (found.resolved_rounds, found.resolved_seconds, found.trouble, record.good) == (1, 65.0, "", True)
    assert "| dns-gone | KubechainLinkBroken DNS | 2 | 120.0 | 1 | 65.0 | right |" in table(record)
    assert table(record).endswith("5 rounds (2 broken, 3 holds) of 40 s: 1 of 1 alerts right, 0 false.\n")


def test_alert_that_does_not_come_or_is_not_resolved_is_no_right_one() -> None:
    assert [judged().episodes[0].trouble, judged(FIRED).episodes[0].trouble] == ["no such alert", "not resolved"]
    early = RESOLVED.model_copy(update={"at": 229.0})
    assert judged(FIRED, early).episodes[0].trouble == "not resolved"
    assert not judged(FIRED).good


def test_alert_of_another_link_or_another_time_is_false() -> None:
    other, late = FIRED.model_copy(update={"link": "NODEPORT"}), FIRED.model_copy(update={"at": 310.0})
    record = judged(FIRED, RESOLVED, other, late)
    assert record.false_alarms == ["KubechainLinkBroken NODEPORT after 225 s", "KubechainLinkBroken DNS after 310 s"]
    assert (record.good, record.episodes[0].trouble) == (False, "")
    assert "- false alarm: KubechainLinkBroken NODEPORT after 225 s" in table(record)


def test_frozen_api_server_must_end_in_no_verdict_and_in_nothing_broken() -> None:
    frozen = EPISODE.model_copy(update={"fault": "apiserver-frozen", "at": "unreachable"})
    alert = Notice(at=225.0, name=NO_VERDICT, link="", firing=True)
    record = judged(alert, RESOLVED.model_copy(update={"name": NO_VERDICT, "link": ""}), FIRED, episodes=[frozen])
    assert (record.episodes[0].trouble, record.false_alarms) == ("", ["KubechainLinkBroken DNS after 225 s"])
    assert (Trouble("x", "unreachable").rounds, Trouble("x", Link.DNS).rounds) == (3, BROKEN_ROUNDS)


def test_faults_are_spread_over_the_rounds() -> None:
    plan = planned(["a", "b", "c"], 32)
    assert plan == [(2, "a"), (12, "b"), (22, "c")]


def test_receiver_takes_what_alertmanager_sends() -> None:
    changed = threading.Condition()
    receiver = Receiver(changed)
    alerts = [
        {"status": status, "labels": {"alertname": BROKEN, **({"link": "DNS"} if number else {})}}
        for number, status in enumerate(("firing", "resolved"))
    ]
    with receiver.serving() as url:
        request = urllib.request.Request(url, json.dumps({"alerts": alerts}).encode(), method="POST")  # noqa: S310  # loopback
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
    assert [(str(each.alert), each.firing) for each in receiver.notices] == [(BROKEN, True), (f"{BROKEN} DNS", False)]
