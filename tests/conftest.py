"""The options of the project's own tests."""

from __future__ import annotations

import pytest

HOSTILE = "hostile"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--hostile", action="store_true", help="also run the full form of the tests on misbehaving clusters")
    parser.addoption("--hostile-seconds", type=float, default=0.0, help="draw sequences of misbehaviours for so long")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{HOSTILE}: a test of the full form, which takes minutes; see docs/HOSTILE.md")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the full form unless it is asked for."""
    if not config.getoption("--hostile"):
        left_out = [item for item in items if item.get_closest_marker(HOSTILE)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
