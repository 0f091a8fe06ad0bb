"""The fixture plugins of the project, each before those that use it."""

pytest_plugins = [
    "kubechain.pytest.session",
    "kubechain.pytest.outcomes",
    "kubechain.pytest.scheduling",
    "kubechain.pytest.given",
    "kubechain.scenarios.many_pods",
    "kubechain.scenarios.deletion",
    "kubechain.scenarios.failing_pods",
    "kubechain.scenarios.node_outage",
    "kubechain.scenarios.rollout",
    "kubechain.pytest.faults",
    "kubechain.pytest.upgrade",
    "reports.plugin",
]
