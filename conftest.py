"""The fixture plugins of the project, each before those that use it."""

pytest_plugins = [
    "fixtures.cluster.plugin",
    "fixtures.judge",
    "fixtures.quiet",
    "fixtures.given",
    "fixtures.scenarios.crowd",
    "fixtures.scenarios.deletion",
    "fixtures.scenarios.doomed",
    "fixtures.scenarios.outage",
    "fixtures.scenarios.rollout",
    "fixtures.faults.plugin",
    "fixtures.upgrade.plugin",
    "reports.plugin",
]
