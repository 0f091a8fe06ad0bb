"""Counts the CPU time of the threads that watch a cluster, as a plugin of pytest in the process of a run."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from kubechain.observe.reflector import Reflector

FILE = "OBSERVER_COST"
_spent: list[float] = []
_watch = Reflector.run


def _counted(self: Reflector, stop: threading.Event) -> None:
    began = time.thread_time()
    try:
        _watch(self, stop)
    finally:
        _spent.append(time.thread_time() - began)


Reflector.run = _counted


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Write what was counted."""
    usage = time.process_time()
    Path(os.environ[FILE]).write_text(json.dumps({"observer": sum(_spent), "process": usage, "watches": len(_spent)}))
