"""Finished runs by hand, for tests of what is made of them."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kubechain.claims.chain_records import HandOverRecord
from kubechain.claims.claim import Link
from kubechain.claims.records import ClaimRecord, ClusterRecord, PhaseRecord, RunRecord
from kubechain.claims.verdict import verdict_of
from tests.fakes import record, run_record

START = datetime(2026, 1, 1, tzinfo=UTC)


def run(number: int, *claims: ClaimRecord, owned: bool = False, server: str = "v1.37.2", **hand_overs: float) -> RunRecord:
    """Return a run with these claims, `number` days after START; `hand_overs` are the seconds of each."""
    verdict = verdict_of(claims, 1.0)
    given = run_record(None, *claims).model_copy(
        update={
            "run": f"{number:08x}",
            "started": START + timedelta(days=number),
            "verdict": verdict.line,
            "holds": verdict.holds,
            "exit_code": verdict.exit_code,
            "first_broken_link": verdict.first_broken_link,
            "counts": dict(Counter(claim.outcome for claim in claims)),
            "cluster": ClusterRecord(name="c", context="staging", uid="u-1", owned=owned),
            "versions": {"server": server, "kubechain": "0.2.0"},
            "phases": [PhaseRecord(phase="claims", seconds=12.5, notes=[])],
        }
    )
    measured = [HandOverRecord(what=what, count=1, p50=s, p90=s, p99=s, max=s) for what, s in hand_overs.items()]
    return given.model_copy(update={"hand_overs": measured})


def passed(link: Link, seconds: float = 0.1, **over: Any) -> ClaimRecord:
    """Return a claim that passed within `seconds`."""
    return record(link, "passed", seconds=seconds, **over)


def series(count: int, medians: Sequence[float], seed: int, first: int = 0) -> list[RunRecord]:
    """Return runs whose claims take about these seconds, with a noise of ten percent."""
    draw = random.Random(seed)  # noqa: S311  # no secret
    return [
        run(
            first + number,
            *(passed(Link.PODS, draw.gauss(each, each / 10), id=f"CHAIN-PODS-{index:03}") for index, each in enumerate(medians)),
        )
        for number in range(count)
    ]


def write(folder: Path, *runs: RunRecord) -> list[Path]:
    """Write each run as a run.json into a folder of its own; return the files."""
    files: list[Path] = []
    for each in runs:
        path = folder / each.run / "run.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(each.as_json()))
        files.append(path)
    return files
