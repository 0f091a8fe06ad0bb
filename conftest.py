"""The fixture plugins of the project."""

pytest_plugins = ["fixtures.judge", "fixtures.cluster.plugin", "fixtures.given", "reports.plugin"]
