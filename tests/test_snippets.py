"""The snippets of CONTRIBUTING.md, docs/ARCHITECTURE.md and the example of own claims run as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kubechain.claims.claim import Link
from kubechain.claims.verdict import verdict_of
from kubechain.core import run
from kubechain.core.bundle import ROOT
from kubechain.core.progress import Progress
from kubechain.core.settings import load
from kubechain.pytest import hookspecs
from kubechain.pytest.results import RunResult
from tests.fakes import changed, record, state, thing

SNIPPET = re.compile(r"^```python\n# (\S+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A chain of objects made by hand. With WORKS=0 the cluster does nothing that a claim expects of it.
CONFTEST = """
import os
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

import fixtures.scenarios
import kubechain.scenarios
from kubechain.claims import claim
from kubechain.claims.requirements import ALL
from kubechain.conditions import timeouts
from kubechain.observe.history import History
from kubechain.observe.wait import Waiter
from tests.fakes import FakeClock, changed, endpoint_slice, endpoints, entry, healthy, pod

HERE, WORKS = Path(__file__).parent, os.environ["WORKS"] == "1"
kubechain.scenarios.__path__.append(str(HERE / "kubechain" / "scenarios"))
fixtures.scenarios.__path__.append(str(HERE / "fixtures" / "scenarios"))
pytest_plugins = ["fixtures.scenarios.unlabelled"]
clock = FakeClock()


def pytest_configure(config):
    config.addinivalue_line("markers", "claim(record): a statement about the cluster")


def pytest_collection_modifyitems(items):
    found = [(item.nodeid, claim.of(item)) for item in items]
    assert claim.problems(found) == []
    assert all(requirement in ALL for _, each in found for requirement in each.requirements)


def listed(*pods):
    entries = [entry(each) | {"nodeName": each.at("spec.nodeName") if WORKS else "elsewhere"} for each in pods]
    return [endpoint_slice(*entries), endpoints(*pods)]


@contextmanager
def serving(waiter=None):
    history, restart = History("ns", clock), "Always" if WORKS else "Never"
    first, second, third = (changed(pod(number), "spec.restartPolicy", restart) for number in range(3))
    others = [each for each in healthy() if each.kind not in ("Pod", "EndpointSlice", "Endpoints")]
    for each in [*others, first, second, *listed(first, second)]:
        history.record("ADDED", each)

    def patch(kind, namespace, name, body):
        assert (kind, namespace, name, body) == ("Pod", "ns", first.name, {"metadata": {"labels": {"app": None}}})
        changed_pod = changed(first, "metadata.labels", {})
        if WORKS:
            history.record("MODIFIED", changed(changed_pod, "metadata.resourceVersion", "9999"))
            for each in [third, *listed(second, third)]:
                history.record("MODIFIED", each)
        return changed_pod

    api = SimpleNamespace(patch=patch)
    yield SimpleNamespace(objects=history, pods=[first, second], api=api, namespace="ns", admission=None)


@pytest.fixture
def chain():
    with serving() as made:
        yield made


@pytest.fixture(scope="session")
def chain_factory():
    return SimpleNamespace(serving=serving, waiter=lambda: Waiter(clock))


@pytest.fixture
def eventually():
    def wait(source, condition, *, within=timeouts.CONTROLLER):
        return Waiter(clock).eventually(source, condition, within=within)

    return wait
"""


def snippets(document: str) -> dict[str, str]:
    """Return path -> text of the snippets of a document that name the file to which they belong."""
    return dict(SNIPPET.findall((ROOT / document).read_text()))


@pytest.mark.parametrize(("works", "outcome", "unmet"), [("1", "5 passed", 0), ("0", "5 failed", 5)])
def test_claims_of_the_contributing_guide_hold_only_where_the_cluster_works(
    tmp_path: Path, works: str, outcome: str, unmet: int
) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers --import-mode=importlib\n")
    for path, text in snippets("CONTRIBUTING.md").items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    options = ["-q", "--tb=line", "-p", "no:cacheprovider", "-p", "no:kubechain.pytest.plugin"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "", "WORKS": works}
    words = [sys.executable, "-m", "pytest", *options, "suites"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert outcome in done.stdout.strip().splitlines()[-1], done.stdout + done.stderr
    assert len(re.findall(r"^/\S+: \S+\.Unmet: ", done.stdout, re.MULTILINE)) == unmet, done.stdout


def test_report_of_a_third_party_writes_its_file(tmp_path: Path) -> None:
    (text,) = snippets("docs/ARCHITECTURE.md").values()
    plugin = ModuleType("open_claims")
    exec(text, vars(plugin))  # noqa: S102  # a document of this project
    manager = pytest.PytestPluginManager()
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    manager.check_pending()
    records = [record(Link.PODS, "passed"), record(Link.DNS, "failed", "expected a, got b")]
    identity = run.new(tmp_path)
    identity.folder.mkdir(parents=True)
    hook: Any = manager.hook
    hook.pytest_kubechain_run_finished(
        run=RunResult(identity, load(), Progress(), verdict_of(records, 1.0), records, 1.0, {}, [])
    )
    lines = (identity.folder / "open-claims.txt").read_text().splitlines()
    assert lines == ["chain broken at DNS: expected a, got b", "CHAIN-DNS-010: expected a, got b"]


def test_condition_of_the_example_is_met_by_the_label_alone() -> None:
    module = ModuleType("example")
    exec(snippets("examples/own-claims/README.md")["test_team.py"], vars(module))  # noqa: S102  # a document of this project
    example: Any = module
    shop = thing("Deployment", "shop", labels={"app": "shop"})
    assert example.names_its_team(state(changed(shop, "metadata.labels", {"team": "a"}))).met
    assert [example.names_its_team(each).got for each in (state(shop), state())] == [
        "labels {'app': 'shop'}",
        "no Deployment shop",
    ]
