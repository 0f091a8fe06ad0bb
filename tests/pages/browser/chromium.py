"""A window of Chromium as a plugin of pytest, and what must be true of every page in it."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from kubechain.core.bundle import ROOT

PICTURES = ROOT / "reports" / "pages-seen"
# Pictures in the documents.
DOCS = ROOT / "docs"
SIZES = ((1280, 800), (390, 844))
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# What axe checks: a dark page has other colours, a narrow one another layout and the same colours.
CHECKS: tuple[tuple[int, Literal["light", "dark"], dict[str, object]], ...] = (
    (1280, "light", {}),
    (1280, "dark", {"runOnly": ["color-contrast"]}),
    (390, "light", {"rules": {"color-contrast": {"enabled": False}}}),
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Of one step of a browser, on a machine that does much else.
MOST_MS = 300_000
# Whether an element is within the window, as it is before anybody scrolls.
SEEN = "e => { const r = e.getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight && r.right <= innerWidth }"
# Elements that are cut off, because their content is wider than they are and they do not scroll.
CUT = """() => [...document.querySelectorAll('body *')].filter(e => {
  const style = getComputedStyle(e);
  return e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1 && style.overflowX === 'visible' && style.display !== 'inline';
}).map(e => e.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium of the machine."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.fail(f"none of {', '.join(BROWSERS)} found: install one, on Debian with `apt-get install chromium`")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--disable-gpu"], timeout=MOST_MS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A window; the test fails if a page writes to the console, throws, or requests anything but itself."""
    width, height = SIZES[0]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="light")
    context.set_default_timeout(MOST_MS)
    opened, troubles, requests = context.new_page(), list[str](), list[str]()
    opened.on("console", lambda message: troubles.append(message.text))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("request", lambda sent: requests.append(sent.url))
    visited: set[str] = set()
    opened.on("framenavigated", lambda frame: visited.add(frame.url.partition("#")[0]))
    yield opened
    context.close()
    assert troubles == []
    # What a page has in itself counts as a request of Chromium as well; `visited` are the pages themselves.
    assert [url for url in requests if not url.startswith(("data:", "blob:")) and url not in visited] == []


def sized(page: Page, width: int) -> None:
    """Set the window to one of SIZES."""
    page.set_viewport_size({"width": width, "height": dict(SIZES)[width]})


def fits(page: Page, width: int) -> None:
    """Require that the page does not scroll sideways, and that nothing is cut off."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT) == [], f"{width} pixels"


def photographed(page: Page, name: str) -> None:
    """Take pictures of the page at both sizes, light and dark, as it is before anybody scrolls."""
    for width, _ in SIZES:
        sized(page, width)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=PICTURES / f"{name}-{width}-{scheme}.png")
    page.emulate_media(color_scheme="light")


def accessible(page: Page) -> None:
    """Require that the page, all of it unfolded, fits and has no violation of axe's rules at both sizes, light and dark."""
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    for width, scheme, options in CHECKS:
        sized(page, width)
        fits(page, width)
        page.emulate_media(color_scheme=scheme)
        results = Axe().run(page, options={**options, "resultTypes": ["violations"]})
        assert results.violations_count == 0, f"{width}, {scheme}: {results.generate_report()}"


def reached_by_tab(page: Page, elements: str = "summary, a[href], input, [tabindex]") -> None:
    """Require that the key Tab reaches every link, section and control, in the order of the page."""
    page.evaluate(
        """elements => {
            // Of radio buttons of one name, Tab reaches the chosen one.
            const reachable = e => e.checkVisibility() && (e.type !== 'radio' || e.checked);
            const all = [...document.querySelectorAll(elements)].filter(reachable);
            all.forEach((e, n) => e.dataset.order = n);
        }""",
        elements,
    )
    count = page.locator("[data-order]").count()
    reached: list[str] = []
    for _ in range(count):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.dataset.order"))
    assert reached == [str(number) for number in range(count)]


def data(file: Path) -> str:
    """Return a picture as an address that has the picture in itself."""
    return f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"


def sheet(page: Page, pictures: Sequence[tuple[str, Path]], path: Path, *, columns: int, width: int) -> None:
    """Write one picture of several: each a title and a file, `columns` beside one another, `width` pixels wide in all."""
    cells = "".join(f"<figure><figcaption>{title}</figcaption><img src='{data(file)}'></figure>" for title, file in pictures)
    file = path.with_suffix(".html")
    file.write_text(
        f"<style>body {{ margin: 0; display: grid; grid-template-columns: repeat({columns}, 1fr); gap: 12px; padding: 12px;"
        " font: 15px sans-serif; background: #fff } figure { margin: 0 } img { width: 100%; border: 1px solid #888 }</style>"
        f"{cells}"
    )
    try:
        page.set_viewport_size({"width": width, "height": 600})
        page.goto(file.as_uri())
        page.screenshot(path=path, full_page=True)
    finally:
        file.unlink()
