"""chain.html is redacted, and bounded in size and in the time that it takes."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import CollectedClaim
from kubechain.core import redact_files
from reports import catalogue, chain_page
from tests.pages.runs import RUNS, Fault, broken, claims, green
from tests.test_chain_page import Reader

PLANTED = "s3cr3t-s3cr3t-s3cr3t"


def test_page_is_redacted_before_it_is_html_and_not_after(tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    fault = Fault(Link.DNS, f"expected a, got b token={PLANTED} (waited 1.0 of 1 s: c)", f"password: {PLANTED}")
    made = broken(fault)
    (tmp_path / "evidence" / f"{next(iter(made.evidence))}.txt").write_text(f"# log\nAuthorization: Bearer {PLANTED}\ntoken:")
    text = chain_page.published(made.run, tmp_path)
    assert PLANTED not in text
    assert text.count("[redacted]") >= 3
    # The second is of a run of the suite under a fault.
    pages = [tmp_path / "chain.html", tmp_path / "faults" / "x" / "chain.html"]
    pages[1].parent.mkdir(parents=True)
    for file in pages:
        file.write_text(text)
    redact_files.folder(tmp_path)
    assert [file.read_text() for file in pages] == [text, text]
    Reader(text)


def test_evidence_is_bounded() -> None:
    kept = chain_page.bounded({str(n): "x" * 100_000 for n in range(20)})
    assert kept["0"].endswith("... 10,000 more characters are in evidence/0.txt")
    assert sum(len(text) for text in kept.values()) < chain_page.MOST_OF_PAGE + 20 * 80
    assert chain_page.bounded({"a": "short"}) == {"a": "short"}
    assert chain_page.bounded({"a": '"' * 20_000})["a"].endswith("... 5,000 more characters are in evidence/a.txt")


def worst(every: Sequence[CollectedClaim], line: str) -> tuple[str, float]:
    """Return the page of a run in which each claim failed with much evidence, and the seconds of CPU that it took."""
    last = RUNS["trend"]()
    failed = [claim.ended(Outcome.FAILED, "expected a, got " + "b " * 500, suspects="c " * 200) for claim in every]
    run = last.run.model_copy(update={"claims": failed, "chains": [*green().run.chains[:1] * 50]})
    began = time.process_time()
    text = chain_page.page(run, {claim.id: line * 10_000 for claim in failed}, last.earlier)
    return text, time.process_time() - began


# What logs are made of: tags, JSON, letters of more than one byte, and no text at all.
LINES = ("line <of> a log\n", '{"level":"error"}\n', "\u6f22\u5b57\n", "\x00\x1b\n")


@pytest.mark.parametrize("line", LINES)
def test_largest_page_of_a_quick_run_is_under_a_megabyte_and_made_in_under_three_seconds(line: str) -> None:
    text, took = worst(claims(), line)
    assert took < 3
    assert len(text.encode()) < 1_000_000


@pytest.mark.parametrize("line", LINES)
def test_largest_page_of_a_full_run_with_faults_is_under_ten_megabytes(line: str) -> None:
    every = [CollectedClaim.of(entry.claim, entry.nodeid) for entry in catalogue.collect()]
    assert {claim.level for claim in every} == {"quick", "full"}
    assert len(every) > 2 * len(claims())
    text, took = worst(every, line)
    assert took < 3
    assert len(text.encode()) < 10_000_000
