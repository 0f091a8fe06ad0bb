"""Scenarios: fixtures for a change that happens to a cluster once and that several claims check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

# The names of the fixtures that are scenarios.
SCENARIOS: set[str] = set()


def scenario(function: Callable[..., Any]) -> Any:
    """Declare a session fixture as a scenario; one process runs all claims that use it.

    The scenario runs before the first of these claims, with a waiter from `chain_factory.waiter()`. Each claim has its own
    `eventually`; its evidence is on the scenario's chain (the value of the fixture, or the attribute `chain` of the value).
    """
    SCENARIOS.add(function.__name__)
    return pytest.fixture(scope="session")(function)
