"""Alerts and a dashboard on the figures of `kubechain watch`."""

from __future__ import annotations

import json
from typing import Any

import yaml

Json = dict[str, Any]
# One round may meet what is over by the next one.
BROKEN_ROUNDS = 2
UNDECIDED_ROUNDS = 3


def _alert(name: str, expression: str, severity: str, summary: str, description: str, *, since: str = "0m") -> Json:
    annotations = {"summary": summary, "description": description}
    return {"alert": name, "expr": expression, "for": since, "labels": {"severity": severity}, "annotations": annotations}


GROUPS: list[Json] = [
    {
        "name": "kubechain",
        "rules": [
            _alert(
                "KubechainLinkBroken",
                f"kubechain_watch_link_broken_rounds >= {BROKEN_ROUNDS}",
                "critical",
                "The chain is broken at {{ $labels.link }}",
                "{{ $value }} rounds in a row found {{ $labels.link }} as the first broken link. The log of the watch says why.",
            ),
            _alert(
                "KubechainNoVerdict",
                f"kubechain_watch_rounds_without_verdict >= {UNDECIDED_ROUNDS}",
                "warning",
                "Nobody can tell whether the chain holds",
                "{{ $value }} rounds in a row ended without a verdict. The log of the watch says why; the chain may be whole.",
            ),
            _alert(
                "KubechainStale",
                "time() - kubechain_watch_last_round_timestamp_seconds > kubechain_watch_stale_after_seconds",
                "warning",
                "The watch of the chain stands still",
                "No round has ended for {{ $value }} seconds.",
            ),
            _alert(
                "KubechainAbsent",
                "absent(kubechain_watch_interval_seconds)",
                "warning",
                "The watch of the chain is not there",
                "Prometheus gets no figures of kubechain watch.",
                since="15m",
            ),
        ],
    }
]


def rules() -> str:
    """Return the alerts as a rule file of Prometheus."""
    return yaml.safe_dump({"groups": GROUPS}, sort_keys=False, width=200)


# Title, expression, legend, unit, kind of panel.
PANELS = (
    ("Chain", "kubechain_chain_holds", "{{ first_broken_link }}", "none", "stat"),
    ("First broken link, rounds in a row", "kubechain_watch_link_broken_rounds > 0", "{{ link }}", "none", "timeseries"),
    ("Rounds without a verdict", "kubechain_watch_rounds_without_verdict", "", "none", "timeseries"),
    ("Rounds", "sum by (result) (increase(kubechain_watch_rounds_total[1d]))", "{{ result }}", "none", "timeseries"),
    ("Claims by outcome", "sum by (outcome) (kubechain_claims)", "{{ outcome }}", "none", "timeseries"),
    (
        "Hand-overs, p99",
        "histogram_quantile(0.99, sum by (le, what) (rate(kubechain_watch_hand_over_seconds_bucket[6h])))",
        "{{ what }}",
        "s",
        "timeseries",
    ),
    ("Seconds of a run", "kubechain_run_duration_seconds", "", "s", "timeseries"),
    ("Known issues", "kubechain_known_issues", "", "none", "stat"),
)
WIDTH, HEIGHT, ROW = 12, 8, 24


def dashboard() -> str:
    """Return the dashboard as Grafana imports it."""
    source = {"type": "prometheus", "uid": "${source}"}
    panels: list[Json] = [
        {
            "id": number + 1,
            "type": kind,
            "title": title,
            "datasource": source,
            "gridPos": {"x": WIDTH * number % ROW, "y": WIDTH * number // ROW * HEIGHT, "w": WIDTH, "h": HEIGHT},
            "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
            "targets": [{"refId": "A", "expr": expression, "legendFormat": legend or "__auto", "datasource": source}],
        }
        for number, (title, expression, legend, unit, kind) in enumerate(PANELS)
    ]
    variable = {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    content: Json = {
        "uid": "kubechain",
        "title": "kubechain",
        "tags": ["kubechain"],
        "schemaVersion": 39,
        "time": {"from": "now-7d", "to": "now"},
        "refresh": "1m",
        "templating": {"list": [variable]},
        "panels": panels,
    }
    return json.dumps(content, indent=2) + "\n"
