"""upgrade.html, fleet.html and bench.html in Chromium: they fit, are accessible, and work by keyboard, from a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from reports import bench_page, fleet_page, upgrade_page
from tests.pages.browser.chromium import SEEN, SIZES, accessible, fits, photographed, reached_by_tab, sized
from tests.pages.changes import replaced_nodes, upgraded
from tests.test_bench import pairs
from tests.test_bench_page import bench
from tests.test_fleet import forty, made_of

UPGRADE = "chain broken at UPGRADE: NodePort 240 of 4,000 lost, unreachable 24.0 s (+-0.1), allowed 0 s"
MADE: dict[str, Callable[[], str]] = {
    "upgrade": lambda: upgrade_page.page(upgraded(), UPGRADE),
    "upgrade-replaced": lambda: upgrade_page.page(replaced_nodes(), "upgrade 1.36.3 -> 1.37.2: chain holds"),
    "fleet": lambda: fleet_page.page(made_of(forty())),
    "bench": lambda: bench_page.page(bench([*pairs(1, (60, 20), (80, 20)), *pairs(2, (30, 20)), *pairs(4, (20, 18))])),
}


@pytest.fixture(scope="session")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pages."""
    folder = tmp_path_factory.mktemp("others")
    for name, text in MADE.items():
        (folder / f"{name}.html").write_text(text())
    return folder


@pytest.mark.parametrize("name", MADE)
def test_page_fits_and_is_accessible(page: Page, others: Path, name: str) -> None:
    page.goto((others / f"{name}.html").as_uri())
    for width, _ in SIZES:
        sized(page, width)
        fits(page, width)
        assert page.locator("h1").evaluate(SEEN)
    photographed(page, name)
    accessible(page)


@pytest.mark.parametrize("name", MADE)
def test_every_control_is_reached_by_tab_in_order(page: Page, others: Path, name: str) -> None:
    page.goto((others / f"{name}.html").as_uri())
    reached_by_tab(page)


def test_axis_of_an_upgrade_zooms_by_keyboard(page: Page, others: Path) -> None:
    page.goto((others / "upgrade.html").as_uri())
    plot = page.locator(".plot")
    before = plot.bounding_box()
    page.get_by_role("radio").first.focus()
    page.keyboard.press("ArrowRight")
    after = plot.bounding_box()
    assert before
    assert after
    assert after["width"] > 1.5 * before["width"]


def test_labels_of_an_upgrade_do_not_overlap(page: Page, others: Path) -> None:
    page.goto((others / "upgrade.html").as_uri())
    # On a telephone, names of events need a wider axis.
    for (width, _), zoom in zip(SIZES, (1, 4), strict=True):
        sized(page, width)
        page.locator(f"#zoom-{zoom}").check()
        boxes = [box for each in page.locator(".cause").all() if (box := each.bounding_box())]
        assert len(boxes) > 10
        overlapping = [
            (one, other)
            for number, one in enumerate(boxes)
            for other in boxes[number + 1 :]
            if abs(one["y"] - other["y"]) < 2 and one["x"] < other["x"] + other["width"] and other["x"] < one["x"] + one["width"]
        ]
        assert overlapping == []


def test_whole_change_is_in_the_window_of_a_telephone_with_what_was_lost(page: Page, others: Path) -> None:
    page.goto((others / "upgrade.html").as_uri())
    width, _ = SIZES[1]
    sized(page, width)
    plot = page.locator(".plot").bounding_box()
    assert plot
    assert plot["x"] + plot["width"] <= width
    assert page.locator("#loss dd").nth(2).evaluate(SEEN)
