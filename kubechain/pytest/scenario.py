"""A scenario: something that happens to a cluster once, and that several claims look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

# The names of the fixtures that are scenarios.
SCENARIOS: set[str] = set()


def scenario(function: Callable[..., Any]) -> Any:
    """Declare a fixture a scenario: it lasts for the session, and one process runs all claims that look at it.

    It takes place when the first of these claims begins; it asks `chain_factory` for waits of its own. A claim on it has its
    own `eventually`, and the scenario's chain (its value, or the value's attribute `chain`) as evidence.
    """
    SCENARIOS.add(function.__name__)
    return pytest.fixture(scope="session")(function)
