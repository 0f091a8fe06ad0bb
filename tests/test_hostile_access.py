"""The command on all ways to an API server, and kubectl on the same ways; docs/HOSTILE.md lists them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import NEEDS_KUBECTL
from tests.hostile.access_records import WAYS
from tests.hostile.access_runner import environment, run, wrong
from tests.hostile.access_scene import Keys, Scene
from tests.hostile.access_way import Way
from tests.hostile.cases import cases
from tests.hostile.summary import told

pytestmark = pytest.mark.whole_runs

KUBECTL_SECONDS = 60
# Of kubectl it is known that it waits for ever.
HANGS = ("plugin-hanging", "file-pipe")


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """The certificates of all ways."""
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.mark.parametrize("way", cases(WAYS))
def test_command_ends_as_the_way_allows(
    way: Way, keys: Keys, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    arrived = run(way, keys, tmp_path)
    found = wrong(way, arrived)
    told(record_property, f"{arrived.code} on a way to a cluster", found)
    assert found == [], arrived.output


@pytest.mark.hostile
@NEEDS_KUBECTL
@pytest.mark.parametrize("way", [way for way in WAYS if way.id not in HANGS], ids=lambda way: way.id)
def test_kubectl_connects_where_the_way_says_so(way: Way, keys: Keys, tmp_path: Path) -> None:
    with ExitStack() as stack:
        scene = Scene(tmp_path, keys, stack)
        way.make(scene)
        option = [f"--kubeconfig={scene.kubeconfig}"] if scene.kubeconfig else []
        done = subprocess.run(
            ["kubectl", f"--context={scene.context}", *option, "--request-timeout=15s", "version"],
            cwd=tmp_path,
            env=environment(scene),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=KUBECTL_SECONDS,
            check=False,
        )
        assert (done.returncode == 0) == way.kubectl, done.stderr


def test_ids_of_ways_are_unique() -> None:
    assert len({way.id for way in WAYS}) == len(WAYS)
