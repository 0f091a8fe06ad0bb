"""A limit on the time of each claim, for what has no deadline although everything should have one."""

from __future__ import annotations

import pytest

from kubechain.claims import claim
from kubechain.conditions import timeouts
from kubechain.pytest.rights import UPGRADE
from kubechain.pytest.session import is_own_suite
from kubechain.pytest.state import run_state

MARK = "timeout"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let a claim that takes longer than timeouts.CLAIM be inconclusive; an upgrade takes as long as it takes."""
    if not is_own_suite(config) or not config.pluginmanager.hasplugin(MARK) or config.getoption(MARK, None):
        return
    limit = timeouts.CLAIM.seconds * max(1.0, run_state(config).settings.patience)
    for item in items:
        if claim.of(item) and not item.nodeid.startswith(UPGRADE) and item.get_closest_marker(MARK) is None:
            item.add_marker(pytest.mark.timeout(limit))
