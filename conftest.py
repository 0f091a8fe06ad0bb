"""Which plugins a run of the project's own suites uses."""

pytest_plugins = ["kubechain.pytest.plugin", "fixtures.plugins", "reports.plugin"]
