"""The pytest plugin of kubechain, which pytest loads where the distribution is installed (entry point pytest11).

conftest.py loads the fixtures and reports for the suites of kubechain. For claims of another repository, this plugin loads
them from the installed distribution if --kube-context names a cluster.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kubechain.core import bundle
from kubechain.pytest import hookspecs

PARTS = (
    "session",
    "selection",
    "interrupts",
    "rights",
    "time_limit",
    "outcomes",
    "ending",
    "late_reports",
    "disk",
    "gating",
    "fail_fast",
    "scheduling",
    "spans",
    "ahead",
    "sharding",
    "delivery",
    "others",
    "recording",
    "present",
    "live",
    "faults",
    "upgrade",
    "detached",
)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the hooks that reports implement, and the parts of this plugin."""
    pluginmanager.add_hookspecs(hookspecs)
    for part in PARTS:
        pluginmanager.import_plugin(f"{__package__}.{part}")


def pytest_plugin_registered(plugin: object, manager: pytest.PytestPluginManager) -> None:
    """Load the modules that a plugin lists as `kubechain_plugins`.

    Each name in `pytest_plugins` would also be looked for in the entry points of all installed distributions, which are read
    again for each.
    """
    modules: Sequence[str] = getattr(plugin, "kubechain_plugins", ())
    for module in modules:
        manager.import_plugin(module)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Load fixtures and reports for the claims of another repository."""
    manager = config.pluginmanager
    if config.option.kube_context and not manager.hasplugin("fixtures.plugins"):
        for part, module in (("fixtures", "plugins"), ("reports", "plugin")):
            manager.import_plugin(f"{bundle.load(part)}.{module}")
