"""The alerts of deploy/, judged by promtool on the figures of a watch, and the figures themselves."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from kubechain.claims.claim import Link
from kubechain.claims.records import ClaimRecord
from kubechain.results.rounds import Rounds
from reports.deploy import files, monitoring
from reports.watch_metrics import WatchRegistry
from tests import finished_runs
from tests.fakes import record
from tests.finished_runs import passed
from tests.go_programs import PROMTOOL

RULES = files.FOLDER / "prometheus-rules.yaml"
MINUTE = 60.0
HOLDS, UNKNOWN = passed(Link.DNS), record(Link.DNS, "inconclusive", "API server: 503", id="CHAIN-DNS-010")
# Nothing at all is known of this round: its process ended without a result.
LOST = None
Json = dict[str, Any]


def broken(link: Link) -> ClaimRecord:
    """Return a claim that fails at a link."""
    return record(link, "failed", "expected a, got b", id=f"CHAIN-{link}-010")


def promtool(*words: str | Path, given: str = "") -> str:
    """Run promtool, which must succeed; return its output."""
    done = subprocess.run([PROMTOOL.required(), *words], input=given, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def watched(rounds: Sequence[ClaimRecord | None], more: int = 0) -> list[Json]:
    """Return the series that Prometheus gets of a watch with these rounds, one a minute, and `more` minutes without one."""
    state, values = Rounds(0.0), dict[str, list[str]]()
    registry = WatchRegistry(state, MINUTE, 3 * MINUTE)
    for minute in range(len(rounds) + more + 1):
        # Minute 0 is the begin of the watch.
        if 0 < minute <= len(rounds):
            claim = rounds[minute - 1]
            state.add(finished_runs.run(minute, claim) if claim else None, minute * MINUTE)
        for family in text_string_to_metric_families(generate_latest(registry).decode()):
            for sample in family.samples:
                if sample.name.startswith("kubechain_watch_"):
                    labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
                    values.setdefault(f"{sample.name}{{{labels}}}", []).append(str(sample.value))
    return [{"series": name, "values": " ".join(each)} for name, each in values.items()]


def at(minute: int, *alerts: tuple[str, str], value: str = "") -> list[Json]:
    """Return for promtool that these alerts (name, link) fire in a minute, and no other; `value` is the figure in their texts."""
    (group,) = monitoring.GROUPS
    tests: list[Json] = []
    for rule in group["rules"]:
        links = [link for name, link in alerts if name == rule["alert"]]
        expected = [
            {
                "exp_labels": {**rule["labels"], **({"link": link} if link else {})},
                "exp_annotations": {
                    name: text.replace("{{ $labels.link }}", link).replace("{{ $value }}", value)
                    for name, text in rule["annotations"].items()
                },
            }
            for link in links
        ]
        tests.append({"eval_time": f"{minute}m", "alertname": rule["alert"], "exp_alerts": expected})
    return tests


def check(tmp_path: Path, series: list[Json], *expected: list[Json]) -> None:
    """Let promtool evaluate the rules on series, a value each minute."""
    tests = [{"interval": "1m", "input_series": series, "alert_rule_test": [each for some in expected for each in some]}]
    content = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(content))
    promtool("test", "rules", tmp_path / "tests.yaml")


def test_promtool_takes_the_rules() -> None:
    assert f"{len(monitoring.GROUPS[0]['rules'])} rules found" in promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)


def test_rules_of_the_operator_are_those_of_the_file() -> None:
    objects = yaml.safe_load_all((files.FOLDER / "monitored" / "monitors.yaml").read_text())
    (rule,) = [each for each in objects if each["kind"] == "PrometheusRule"]
    assert rule["spec"] == yaml.safe_load(RULES.read_text())


@pytest.mark.parametrize("link", Link)
def test_link_that_is_broken_in_two_rounds_alerts_until_it_holds(tmp_path: Path, link: Link) -> None:
    series = watched([HOLDS, broken(link), broken(link), HOLDS])
    alert = at(3, ("KubechainLinkBroken", link.value), value="2")
    check(tmp_path, series, at(0), at(1), at(2), alert, at(4))


def test_two_links_in_turn_are_no_broken_link(tmp_path: Path) -> None:
    rounds = [broken(Link.DNS), broken(Link.NODEPORT), broken(Link.DNS), HOLDS]
    check(tmp_path, watched(rounds), *map(at, range(len(rounds) + 1)))


def test_round_without_a_verdict_ends_no_row_and_makes_none(tmp_path: Path) -> None:
    series = watched([broken(Link.DNS), UNKNOWN, broken(Link.DNS), UNKNOWN, HOLDS])
    alert = ("KubechainLinkBroken", Link.DNS.value)
    check(tmp_path, series, at(1), at(2), at(3, alert, value="2"), at(4, alert, value="2"), at(5))


@pytest.mark.parametrize("unknown", [UNKNOWN, LOST])
def test_rounds_without_a_verdict_alert_in_the_third_and_call_nothing_broken(tmp_path: Path, unknown: ClaimRecord | None) -> None:
    series = watched([broken(Link.DNS), *[unknown] * 4, HOLDS])
    alerts = [at(minute, ("KubechainNoVerdict", ""), value=str(minute - 1)) for minute in (4, 5)]
    check(tmp_path, series, at(2), at(3), *alerts, at(6))


def test_watch_that_stands_still_alerts_after_three_intervals(tmp_path: Path) -> None:
    series = watched([HOLDS], more=5)
    check(tmp_path, series, at(3), at(4), at(5, ("KubechainStale", ""), value="240"))


def test_watch_that_is_not_there_alerts_after_a_quarter_of_an_hour(tmp_path: Path) -> None:
    # A series without a value is stale after 5 minutes.
    series = watched([HOLDS])
    check(tmp_path, series, at(20), at(22, ("KubechainAbsent", "")))


def test_promtool_takes_the_figures() -> None:
    registry = WatchRegistry(Rounds(0.0), MINUTE, 3 * MINUTE)
    text = generate_latest(registry).decode()
    assert re.search("^kubechain_watch_rounds_total", text, re.MULTILINE)
    assert promtool("check", "metrics", given=text) == ""
