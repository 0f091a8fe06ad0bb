"""What the workers of an interrupted run still report while they end: claims that have ended, and the figures of the process."""

from __future__ import annotations

from contextlib import suppress
from queue import Empty
from typing import Any

import pytest

from kubechain.pytest.session import asks_for_claims


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In the controller: take what it has not taken before it was interrupted, once all workers have ended."""
    hook = session.config.hook
    distribution: Any = session.config.pluginmanager.getplugin("dsession")
    if distribution is None or not asks_for_claims(session.config):
        return
    with suppress(Empty):
        while True:
            event, content = distribution.queue.get_nowait()
            if event == "testreport":
                report = content["rep"]
                report.node = content["node"]
                hook.pytest_runtest_logreport(report=report)
            elif event == "workerfinished":
                hook.pytest_testnodedown(node=content["node"], error=None)
