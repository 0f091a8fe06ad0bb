"""Whole runs of the command against clusters that misbehave; docs/HOSTILE.md lists them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from kubechain.core.bundle import ROOT
from tests.conftest import HOSTILE
from tests.hostile.__main__ import FILES
from tests.hostile.access import Access, with_token
from tests.hostile.cases import cases
from tests.hostile.catalogue import RECORDS
from tests.hostile.records import Record
from tests.hostile.runner import run, wrong
from tests.hostile.sequences import COMBINABLE, together
from tests.hostile.summary import told

pytestmark = pytest.mark.whole_runs

MANY = 100_000
CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]


@pytest.fixture(scope="session")
def access(tmp_path_factory: pytest.TempPathFactory) -> Access:
    """TLS and a token."""
    return with_token(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize("record", cases(RECORDS))
def test_command_ends_as_the_record_allows(
    record: Record, access: Access, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    ended = run(record, access, tmp_path)
    found = wrong(record, ended)
    told(record_property, f"{ended.code} {ended.verdict.partition(':')[0]}", found)
    assert found == [], ended.output


@pytest.mark.hostile
def test_command_ends_as_a_sequence_of_records_allows(
    request: pytest.FixtureRequest, access: Access, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seconds = float(str(request.config.getoption("--hostile-seconds")))
    if not seconds:
        pytest.skip("needs --hostile-seconds")
    ends, drawn = time.monotonic() + seconds, list[str]()

    @settings(max_examples=MANY, deadline=None, database=None, suppress_health_check=CHECKS, phases=[Phase.generate])
    @given(st.lists(st.sampled_from(COMBINABLE), min_size=2, max_size=4, unique_by=lambda record: record.id))
    def draw(records: list[Record]) -> None:
        assume(time.monotonic() < ends)
        record = together(records)
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        (tmp_path / "run").mkdir()
        ended = run(record, access, tmp_path / "run")
        drawn.append(f"{record.id}: {ended.code}")
        found = wrong(record, ended)
        told(record_property, f"{len(drawn)} sequences, the last {drawn[-1]}", found)
        assert found == [], f"{record.id}: {ended.output}"

    draw()


def test_records_have_ids_of_their_own_and_say_what_happens() -> None:
    assert len({record.id for record in RECORDS}) == len(RECORDS)
    assert [record.id for record in RECORDS if not record.text or not record.allowed] == []


def test_full_form_has_every_file_with_a_part_of_it() -> None:
    parts = ("hostile.cases import", "pytest.mark.hostile", "hypothesis import")
    files = {path.stem.removeprefix("test_"): path.read_text() for path in (ROOT / "tests").glob("test_*.py")}
    assert {name for name, text in files.items() if any(part in text for part in parts)} == set(FILES)


def test_full_form_has_a_marker() -> None:
    for case, record in zip(cases(RECORDS), RECORDS, strict=True):
        marks = [mark.name for mark in case.marks]
        assert (HOSTILE in marks) == (not record.short)
