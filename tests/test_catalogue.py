"""The catalogue of claims and the generated documents."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kubechain.claims.claim import Claim, Link
from kubechain.claims.requirements import OWN_CLUSTER
from kubechain.core.bundle import ROOT
from reports import catalogue
from reports.catalogue import Entry


def entry(name: str, link: Link = Link.DNS, must: str = "It MUST.") -> Entry:
    return Entry(Claim(name, link, must, "concepts/", "Upstream, test", "quick", (OWN_CLUSTER,)), f"suites/x.py::{name}")


def test_every_claim_appears_once_in_the_order_of_the_chain() -> None:
    entries = catalogue.collect()
    ids = [each.claim.id for each in entries]
    assert len(ids) == len(set(ids)) > 40
    orders = [each.claim.link.order for each in entries]
    assert orders == sorted(orders)
    assert all((ROOT / each.nodeid.partition("::")[0]).is_file() for each in entries)


def test_json_has_the_metadata_of_each_claim() -> None:
    words = [sys.executable, "-m", "kubechain", "list", "--format", "json"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    first = json.loads(done.stdout)[0]
    assert first["specUrl"].startswith("https://kubernetes.io/docs/")
    assert {"id", "link", "must", "level", "requirements", "upstream", "nodeid"} <= set(first)


def test_markdown_has_a_row_for_each_claim_and_escapes_bars() -> None:
    text = catalogue.markdown([entry("A-DNS-010", must="It MUST a|b.")])
    assert "## DNS" in text
    assert "| A-DNS-010 | It MUST a\\|b. ([docs](https://kubernetes.io/docs/concepts/)) | quick | `kind` |" in text
    assert "1 claim on 1 link: 1 quick, 0 full" in text


def test_document_is_stale_until_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "docs" / "CATALOGUE.md"
    monkeypatch.setattr(catalogue, "DOCUMENTS", {path: catalogue.markdown})
    entries = [entry("A-DNS-010")]
    assert catalogue.stale(entries) == [path]
    catalogue.write(entries)
    assert catalogue.stale(entries) == []
    assert catalogue.stale([*entries, entry("A-DNS-020")]) == [path]
