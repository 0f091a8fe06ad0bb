"""The history folder of --history, and `kubechain history`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubechain.claims.claim import Link
from kubechain.cli import work
from kubechain.cli.parser import parse
from kubechain.core.errors import SetupError
from kubechain.results import history, runs
from tests.fakes import record
from tests.finished_runs import passed, run, write
from tests.test_run import project

PODS = passed(Link.PODS)
BROKEN = record(Link.DNS, "failed", "web is NXDOMAIN")


def test_run_is_kept_once_and_never_overwritten(tmp_path: Path) -> None:
    (file,) = write(tmp_path / "out", run(1, PODS))
    file.chmod(0o640)
    kept = history.keep(file.parent, tmp_path / "history")
    assert kept.name == "2026-01-02T000000Z-00000001.json"
    assert kept.stat().st_mode & 0o777 == 0o640
    assert kept.read_text() == file.read_text()
    kept.write_text("mine")
    with pytest.raises(SetupError, match="exists, and is not overwritten"):
        history.keep(file.parent, tmp_path / "history")
    assert [path.read_text() for path in kept.parent.iterdir()] == ["mine"]


def test_trend_has_the_last_runs_of_each_cluster_and_version() -> None:
    kinds = [run(number, PODS, owned=True) for number in range(2)]
    here = [run(number, PODS, *([BROKEN] if number == 4 else []), ready=1.5) for number in range(2, 5)]
    newer = [run(9, PODS, server="v1.38.0")]
    trends = history.trends([*kinds, *here, *newer], 2)
    assert [(trend.cluster, trend.kubernetes, len(trend.rows)) for trend in trends] == [
        ("kind cluster of its own", "v1.37.2", 2),
        ("staging", "v1.37.2", 2),
        ("staging", "v1.38.0", 1),
    ]
    last = trends[1].rows[-1]
    assert (last.holds, last.first_broken_link, last.seconds, last.p50) == (False, "DNS", 12.5, {"ready": 1.5})


def test_recent_runs_are_those_of_the_place_before_the_run_and_other_files_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    others = [run(number, PODS) for number in range(1, 6)]
    for each in write(tmp_path / "out", *others, run(6, PODS, server="v1.38.0"), run(7, PODS, owned=True)):
        history.keep(each.parent, folder)
    (folder / "2026-02-01T000000Z-0a.json").write_text("{")
    (folder / "notes.json").write_text("{}")
    assert [each.run for each in history.recent(folder, run(9, PODS), 3)] == [each.run for each in others[-3:]]
    assert [each.run for each in history.recent(folder, others[-1], 9)] == [each.run for each in others[:-1]]
    assert history.recent(tmp_path / "none", run(9, PODS), 3) == []


def test_command_prints_a_row_for_each_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, run(1, PODS), run(2, PODS, BROKEN))
    assert work(parse(["history", str(tmp_path)])) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["2026-01-02", "00:00:00", "00000001", "holds", "1", "12.5"] in lines
    assert ["2026-01-03", "00:00:00", "00000002", "broken", "DNS", "1", "1", "12.5"] in lines
    work(parse(["history", str(tmp_path), "--json", "--last", "1"]))
    (trend,) = json.loads(capsys.readouterr().out)
    assert [row["run"] for row in trend["rows"]] == ["00000002"]
    work(parse(["history", str(tmp_path), "--markdown"]))
    assert "### staging, Kubernetes v1.37.2" in capsys.readouterr().out


CLAIMS = '''
from kubechain.claims.claim import claim

@claim("T-PODS-010", spec="x")
def test_passes():
    """It MUST pass."""
'''


def test_finished_run_keeps_its_run_json(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    done = project(tmp_path, (), {"KUBECHAIN_HISTORY": str(folder), "KUBECHAIN_HTML": "0"}, CLAIMS)
    assert done.code == 0, done.output
    (kept,) = runs.read_all(folder)
    assert kept.as_json() == done.run
    (tmp_path / "again").mkdir()
    locked = tmp_path / "file"
    locked.write_text("")
    done = project(tmp_path / "again", (), {"KUBECHAIN_HISTORY": str(locked), "KUBECHAIN_HTML": "0"}, CLAIMS)
    assert done.code == 21, done.output
    assert f"after the verdict: run.json is not kept in {locked}: " in done.output
