"""chain.html is redacted, and bounded in size and in the time that it takes."""

import time
from pathlib import Path

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
    assert kept["0"].endswith("... 40,000 more characters are in evidence/0.txt")
    assert sum(len(text) for text in kept.values()) < chain_page.MOST_OF_PAGE + 20 * 80
    assert chain_page.bounded({"a": "short"}) == {"a": "short"}


def test_largest_page_of_a_quick_run_is_under_a_megabyte_and_made_in_under_three_seconds() -> None:
    last = RUNS["trend"]()
    failed = [claim.ended(Outcome.FAILED, "expected a, got " + "b " * 500, suspects="c " * 200) for claim in claims()]
    run = last.run.model_copy(update={"claims": failed, "chains": [*green().run.chains[:1] * 50]})
    began = time.process_time()
    text = chain_page.page(run, {claim.id: "line <of> a log\n" * 10_000 for claim in failed}, last.earlier)
    assert time.process_time() - began < 3
    assert len(text.encode()) < 1_000_000


def test_largest_page_of_a_full_run_with_faults_is_under_ten_megabytes() -> None:
    last = RUNS["trend"]()
    every = [CollectedClaim.of(entry.claim, entry.nodeid) for entry in catalogue.collect()]
    failed = [claim.ended(Outcome.FAILED, "expected a, got " + "b " * 500, suspects="c " * 200) for claim in every]
    assert {claim.level for claim in failed} == {"quick", "full"}
    run = last.run.model_copy(update={"claims": failed, "chains": [*green().run.chains[:1] * 50]})
    text = chain_page.page(run, {claim.id: "line <of> a log\n" * 10_000 for claim in failed}, last.earlier)
    assert len(text.encode()) < 10_000_000
