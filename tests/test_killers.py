"""Every claim has a fault or a mutant that makes it fail, or a reason why nothing can."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubechain.faults.catalogue import selection
from reports import catalogue, killers

CLAIMS = [entry.claim for entry in catalogue.collect()]


def test_every_claim_has_a_killer_or_a_reason_why_nothing_can_be_one() -> None:
    assert catalogue.unkilled(CLAIMS) == []


def test_claim_without_a_killer_is_a_problem_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    new = replace(CLAIMS[0], id="CHAIN-DEPLOYMENT-990")
    assert catalogue.unkilled([*CLAIMS, new]) == [
        "CHAIN-DEPLOYMENT-990 has no killer: name it in a fault or a mutant that makes it fail"
    ]
    monkeypatch.setattr(selection, "MUTANTS", ())
    assert "LIFE-ROLLOUT-060" in killers.missing(CLAIMS)


def test_harmless_change_kills_no_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "MUTANTS", ())
    monkeypatch.setattr(selection, "ALL", tuple(fault for fault in selection.ALL if fault.at is None))
    assert any(fault.claims for fault in selection.ALL)
    assert [claim.id for claim in CLAIMS if any(killers.of(claim.id))] == []


def test_reason_for_a_claim_that_has_a_killer_or_is_gone_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(killers.BEYOND, "CHAIN-PODS-010", "nothing can")
    monkeypatch.setitem(killers.BEYOND, "CHAIN-PODS-990", "nothing can")
    assert catalogue.unkilled(CLAIMS) == [
        f"CHAIN-PODS-{number} has a killer, or is no claim: remove it from reports/killers.py" for number in ("010", "990")
    ]


def test_table_has_a_row_for_each_claim_with_a_killer_and_a_line_for_each_other() -> None:
    lines = killers.markdown(CLAIMS).splitlines()
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in lines if line.startswith("| ")}
    assert {claim.id for claim in CLAIMS} == (rows.keys() - {"claim"}) | killers.BEYOND.keys()
    assert rows["LIFE-ROLLOUT-060"] == "| LIFE-ROLLOUT-060 | - | recreate-overlaps |"
    assert f"- DURING-SERVICE-020: {killers.BEYOND['DURING-SERVICE-020']}." in lines
