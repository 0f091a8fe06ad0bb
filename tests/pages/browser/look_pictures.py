"""The pictures in the documents: they are the pages, as a browser shows them."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

from reports import upgrade_page
from tests.pages.browser.chromium import DOCS, SIZES, sheet
from tests.pages.browser.look_others import UPGRADE
from tests.pages.changes import upgraded
from tests.pages.runs import FAULTS, RUNS


def shown(page: Page, folder: Path, name: str, text: str) -> Path:
    """Show a page, and return a picture of what a window has of it before anybody scrolls."""
    file = folder / f"{name}.html"
    file.write_text(text)
    page.goto(file.as_uri())
    page.screenshot(path=file.with_suffix(".png"))
    return file.with_suffix(".png")


def test_pictures_of_five_broken_links_and_of_an_upgrade_are_made(page: Page, tmp_path: Path) -> None:
    names = [f"broken-{fault.link.lower()}" for fault in FAULTS]
    wide = [(name, shown(page, tmp_path, name, RUNS[name]().page)) for name in names]
    (DOCS / "chain.png").write_bytes(dict(wide)["broken-endpoints"].read_bytes())
    shown(page, tmp_path, "upgrade", upgrade_page.page(upgraded(), UPGRADE)).rename(DOCS / "upgrade.png")
    trend = shown(page, tmp_path, "trend", RUNS["trend"]().page)
    sheet(page, [*wide, ("trend", trend)], DOCS / "five-faults.png", columns=2, width=2000)
    width, height = SIZES[1]
    page.set_viewport_size({"width": width, "height": height})
    narrow = [(name, shown(page, tmp_path, name, RUNS[name]().page)) for name in names]
    sheet(page, narrow, DOCS / "five-faults-390.png", columns=len(narrow), width=2000)
