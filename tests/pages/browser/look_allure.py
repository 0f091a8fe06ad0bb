"""The Allure report of a real run with a broken link in Chromium: what it says of the run, and the chain inside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page

from kubechain.core.settings import load
from tests.hostile.access import with_token
from tests.hostile.catalogue import RECORDS
from tests.hostile.runner import run
from tests.pages.browser.chromium import DOCS, MOST_MS, PICTURES, SIZES

BROKEN = next(record for record in RECORDS if record.id == "OFF-KUBE-PROXY")


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run on a cluster on loopback without kube-proxy."""
    folder = tmp_path_factory.mktemp("run")
    # Node.js and Allure are installed once on a machine.
    (folder / "cache").symlink_to(load().cache)
    words = tuple(word for word in BROKEN.command if word != "--no-html")
    ended = run(replace(BROKEN, command=words, seconds=2 * MOST_MS / 1000), with_token(folder), folder)
    assert ended.code == 1, ended.output
    return folder / "out"


def test_report_of_a_run_is_small(out: Path) -> None:
    assert (out / "report" / "index.html").stat().st_size < 10_000_000
    assert (out / "chain.html").stat().st_size < 1_000_000


def test_report_has_the_gate_the_chain_and_the_verdict(page: Page, out: Path) -> None:
    page.goto((out / "report" / "index.html").as_uri())
    tabs = {name: page.get_by_text(name, exact=False).first for name in ("Quality Gates", "Global Attachments", "Global Errors")}
    for name, tab in tabs.items():
        tab.wait_for()
        assert int(
            tab.locator("xpath=ancestor-or-self::*[self::button or @role='tab' or self::a][1]").inner_text().split()[-1]
        ), name
    for words in ("executor", "kubechain", "verdict", "chain broken at CLUSTERIP"):
        assert page.get_by_text(words, exact=False).count(), words
    tabs["Quality Gates"].click()
    page.get_by_text("exit code 1: chain broken at CLUSTERIP", exact=False).first.wait_for()
    tabs["Global Errors"].click()
    page.get_by_text("chain broken at CLUSTERIP", exact=False).nth(1).wait_for()
    tabs["Global Attachments"].click()
    page.get_by_text("chain.html").first.click()
    chain = page.frame_locator("iframe[title='HTML attachment']")
    chain.locator("h1").wait_for()
    assert "Chain broken at CLUSTERIP" in chain.locator("h1").inner_text()
    assert chain.locator("li.first .name").inner_text() == "CLUSTERIP"
    # The whole answer is in the window: what was expected and what there was.
    shown = page.locator("iframe[title='HTML attachment']").bounding_box()
    answer = chain.locator("#first dd").nth(2).bounding_box()
    assert shown
    assert answer
    assert answer["y"] + answer["height"] < min(shown["y"] + shown["height"], SIZES[0][1])
    page.screenshot(path=DOCS / "report.png")


def test_report_fits_a_telephone(page: Page, out: Path) -> None:
    width, height = SIZES[1]
    page.set_viewport_size({"width": width, "height": height})
    page.goto((out / "report" / "index.html").as_uri())
    page.get_by_text("Quality Gates", exact=False).first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=PICTURES / f"allure-{width}.png")
