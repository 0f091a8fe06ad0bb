"""The page of a comparison with upstream, and the ratios of releases that are remembered."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kubechain.bench import ratios, selection
from kubechain.bench.records import BenchRecord, LeftOut, Measurement, Ratio
from kubechain.cli import bench as command
from reports import bench_page
from tests.json_schema import problems
from tests.test_bench import of_all, pairs, release


def bench(measurements: list[Measurement], **over: object) -> BenchRecord:
    chosen = selection.select([("one <two>", ["A", "B"]), ("none", [])], [LeftOut(claims=["B"], reason="2,000 requests")])
    found = ratios.ratios(measurements)
    code, line = ratios.outcome(found, [], None)
    fields: dict[str, object] = {
        "verdict": line, "exit_code": code, "release": "1.1", "kubernetes": "1.37.2", "cores": 2, "rounds": 2,
        "specs": chosen.specs, "without_claims": chosen.without_claims, "left_out": chosen.left_out,
        "measurements": measurements, "ratios": found, "before": None,
    }  # fmt: skip
    return BenchRecord.model_validate({**fields, **over})


def test_page_shows_both_sides_and_what_is_compared(tmp_path: Path) -> None:
    made = bench([*pairs(1, (60, 20), (80, 20)), *pairs(2, (30, 20))])
    bench_page.write(made, tmp_path)
    page = (tmp_path / "bench.html").read_text()
    assert "Serially: 3.50 times as fast (3.00 to 4.00)" in page
    assert "With 4 processes each: no ratio" in page
    assert re.findall(r"--width:([\d.]+)%", page)[:2] == ["87.50", "25.00"]
    assert "one &lt;two&gt;" in page
    assert "2,000 requests" in page
    assert "<script" not in page
    content = json.loads((tmp_path / "bench.json").read_text())
    assert content["ratios"]["serial"] == {"median": 3.5, "min": 3.0, "max": 4.0, "rounds": 2}
    assert problems(content, "bench") == []


def test_release_is_remembered_once_for_each_number_of_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "releases.json"
    path.write_text(json.dumps({"releases": [release(of_all(1.0), 4).as_json()]}))
    monkeypatch.setattr(command, "RELEASES", path)
    for seconds in (20.0, 30.0):
        command.remember(bench(pairs(1, (60, seconds))))
    kept = command.releases().releases
    assert [(each.release, each.cores) for each in kept] == [("1.0", 4), ("1.1", 2)]
    assert kept[1].ratios.serial == Ratio(median=2.0, min=2.0, max=2.0, rounds=1)
