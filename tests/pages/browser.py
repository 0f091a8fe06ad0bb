"""chain.html in Chromium: layout, accessibility, keyboard, requests, and pictures of it.

`make pages` names this file to pytest; other runs of the tests do not collect it, because they have no browser.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # pyright: ignore[reportMissingTypeStubs]
from playwright.sync_api import Browser, Page, sync_playwright

from kubechain.claims.records import read_run
from kubechain.core.bundle import ROOT
from reports import chain_page, chain_view
from tests.pages.runs import RUNS, Made

PICTURES = ROOT / "reports" / "pages-seen"
# The picture in README.md.
SHOWN = ROOT / "docs" / "chain.png"
SIZES = ((1280, 800), (390, 844))
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# run.json's of real runs, with their evidence beside them: PATH:PATH.
REAL = [Path(path) for path in os.environ.get("PAGES_RUNS", "").split(os.pathsep) if path]
NAMES = [*RUNS, "schema-1", *map(str, REAL)]
# Whether an element is within the window, as it is before anybody scrolls.
SEEN = "e => { const r = e.getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight && r.right <= innerWidth }"
# Elements that are cut off, because their content is wider than they are and they do not scroll.
CUT = """() => [...document.querySelectorAll('body *')].filter(e => {
  const style = getComputedStyle(e);
  return e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1 && style.overflowX === 'visible' && style.display !== 'inline';
}).map(e => e.outerHTML.slice(0, 120))"""


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
        (place / "chain.html").write_text(chain_page.page(run.run, run.evidence))
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium of the machine."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.fail(f"none of {', '.join(BROWSERS)} found: install one, on Debian with `apt-get install chromium`")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A window; the test fails if the page writes to the console, throws, or requests anything but itself."""
    width, height = SIZES[0]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="light")
    opened, troubles, requests = context.new_page(), list[str](), list[str]()
    opened.on("console", lambda message: troubles.append(message.text))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("request", lambda sent: requests.append(sent.url))
    yield opened
    context.close()
    assert troubles == []
    assert len(requests) == 1, requests


def address(pages: Path, name: str) -> str:
    """Return the file:// address of the page of a run."""
    return (pages / "sub" / slug(name) / "chain.html").as_uri()


@pytest.mark.parametrize("name", NAMES, ids=slug)
def test_page_answers_without_scrolling_and_is_accessible(page: Page, pages: Path, name: str) -> None:
    run = made(name)
    broken = chain_view.first(run.run, run.evidence)
    page.goto(address(pages, name))
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        fits(page, width)
        answers(page, broken, width)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=PICTURES / f"{slug(name)}-{width}-{scheme}.png")
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        fits(page, width)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            results = Axe().run(page)
            assert results.violations_count == 0, f"{width}, {scheme}: {results.generate_report()}"


def fits(page: Page, width: int) -> None:
    """Require that the page does not scroll sideways, and that nothing is cut off."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT) == [], f"{width} pixels"


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


def test_picture_of_the_readme_is_made(page: Page, pages: Path) -> None:
    page.goto(address(pages, "broken-endpoints"))
    page.screenshot(path=SHOWN)


@pytest.mark.parametrize("name", NAMES, ids=slug)
def test_every_link_and_section_is_reached_by_tab_in_order(page: Page, pages: Path, name: str) -> None:
    page.goto(address(pages, name))
    page.evaluate("""() => {
        const all = [...document.querySelectorAll('summary, a[href], [tabindex]')].filter(e => e.checkVisibility());
        all.forEach((e, n) => e.dataset.order = n);
    }""")
    count = page.locator("[data-order]").count()
    reached: list[str] = []
    for _ in range(count):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.dataset.order"))
    assert reached == [str(number) for number in range(count)]


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
