"""chain.html in Chromium: it answers without scrolling, fits, is accessible, and works by keyboard, from a file and a server."""

from __future__ import annotations

import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page

from kubechain.claims.records import read_run
from kubechain.core.bundle import ROOT
from reports import chain_page, chain_view
from tests.pages.browser.chromium import SEEN, SIZES, accessible, fits, photographed, reached_by_tab, sized
from tests.pages.runs import RUNS, Made

# run.json's of real runs, with their evidence beside them: PATH:PATH.
REAL = [Path(path) for path in os.environ.get("PAGES_RUNS", "").split(os.pathsep) if path]
NAMES = [*RUNS, "schema-1", *map(str, REAL)]
# By keyboard, pages differ in their sections alone.
BY_KEYBOARD = ("green", "broken-endpoints", "known-issue", "skipped", "trend")


def made(name: str) -> Made:
    """Return a run by its name."""
    if name in RUNS:
        return RUNS[name]()
    path = ROOT / "tests" / "data" / "run-schema-1.json" if name == "schema-1" else Path(name)
    run = read_run(path)
    return Made(run, chain_page.evidence_in(path.parent / "evidence", run))


def slug(name: str) -> str:
    """Return a run's name as the name of a file."""
    return name if name in (*RUNS, "schema-1") else Path(name).parent.name


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pages, one for each run, in a folder of its own."""
    folder = tmp_path_factory.mktemp("pages")
    for name in NAMES:
        run = made(name)
        place = folder / "sub" / slug(name)
        place.mkdir(parents=True)
        (place / "chain.html").write_text(run.page)
    return folder


def address(pages: Path, name: str) -> str:
    """Return the file:// address of the page of a run."""
    return (pages / "sub" / slug(name) / "chain.html").as_uri()


@pytest.mark.parametrize("name", NAMES, ids=slug)
def test_page_answers_without_scrolling_and_is_accessible(page: Page, pages: Path, name: str) -> None:
    run = made(name)
    broken = chain_view.first(run.run, run.evidence)
    page.goto(address(pages, name))
    for width, _ in SIZES:
        sized(page, width)
        fits(page, width)
        answers(page, broken, width)
    photographed(page, slug(name))
    accessible(page)


def answers(page: Page, broken: chain_view.Broken | None, width: int) -> None:
    """Require that the window shows without scrolling whether the chain holds, and if not where and why."""
    assert page.locator("h1").evaluate(SEEN)
    if broken is None:
        assert page.locator(".rest").evaluate(SEEN)
        assert page.locator(".first").count() == 0
        return
    assert page.locator("h1").inner_text().endswith(f"at {broken.link}")
    names, values = page.locator("#first dt"), page.locator("#first dd")
    shown = ["First broken link", "Expected", "Got"]
    assert names.all_inner_texts()[: len(shown)] == shown
    assert [values.nth(number).evaluate(SEEN) for number in range(len(shown))] == [True] * len(shown)
    assert page.locator(".first .name").inner_text() == broken.link
    # A window of a desktop shows the broken link in the picture, too.
    assert width < SIZES[0][0] or page.locator("li.first").evaluate(SEEN)


@pytest.mark.parametrize("name", BY_KEYBOARD)
def test_every_link_and_section_is_reached_by_tab_in_order(page: Page, pages: Path, name: str) -> None:
    page.goto(address(pages, name))
    reached_by_tab(page)


def test_evidence_opens_by_keyboard(page: Page, pages: Path) -> None:
    page.goto(address(pages, "broken-endpoints"))
    summary = page.locator("header summary", has_text="Evidence")
    summary.focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("list", name="owner graph of CHAIN-ENDPOINTS-010").first.is_visible()


def test_page_has_landmarks_and_the_name_of_the_run_in_its_title(page: Page, pages: Path) -> None:
    page.goto(address(pages, "broken-dns"))
    for role in ("banner", "main", "navigation", "contentinfo"):
        assert page.get_by_role(role).count() == 1, role
    assert page.title() == "Chain broken at DNS - kubechain"


def test_page_works_below_a_path_of_a_server(page: Page, pages: Path) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002  # the parent's name

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(pages))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.goto(f"http://127.0.0.1:{server.server_port}/sub/green/chain.html")
        assert "Chain holds" in page.locator("h1").inner_text()
        page.get_by_role("link", name="Versions and run").click()
        assert page.locator("#run").evaluate(SEEN)
        server.shutdown()
