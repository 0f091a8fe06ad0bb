"""Which plugins a run of the project's own suites uses."""

from kubechain.core import start_up

# Until the session begins, in each process of a run.
start_up.begin()
pytest_plugins = ["kubechain.pytest.plugin", "fixtures.plugins", "reports.plugin"]
