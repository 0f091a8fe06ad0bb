"""The pytest plugin of kubechain, which pytest loads by itself where the distribution is installed.

In a run of the project's own suites the conftest.py beside them names the fixtures and reports. For claims of another
repository they are loaded from the installed distribution, once a cluster is named with --kube-context.
"""

from __future__ import annotations

import pytest

from kubechain.core import bundle
from kubechain.pytest import hookspecs

PARTS = ("session", "outcomes", "gating", "scheduling", "recording", "faults", "upgrade")
pytest_plugins = [f"kubechain.pytest.{part}" for part in PARTS]


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Make the hooks known that reports implement."""
    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Load fixtures and reports for the claims of another repository."""
    manager = config.pluginmanager
    if config.option.kube_context and not manager.hasplugin("fixtures.plugins"):
        for part, module in (("fixtures", "plugins"), ("reports", "plugin")):
            manager.import_plugin(f"{bundle.load(part)}.{module}")
