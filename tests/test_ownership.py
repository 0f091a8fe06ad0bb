"""The page on ownership names every mark of the code."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import kubechain
from kubechain.cleanup import run_locks
from kubechain.cluster.docker_daemon import Daemon
from kubechain.core import process, publish, run
from kubechain.core.bundle import ROOT
from kubechain.kube import creation

PAGE = (ROOT / "docs" / "OWNERSHIP.md").read_text()
MARK = re.compile(r"kubechain[./=][a-z0-9-]+")


def marks() -> Iterator[str]:
    """Yield the labels, annotations and image names that begin with the project's name, of all modules."""
    for module in pkgutil.walk_packages(kubechain.__path__, "kubechain."):
        if not module.name.endswith("__main__"):
            constants = vars(importlib.import_module(module.name)).items()
            yield from (value for name, value in constants if name.isupper() and isinstance(value, str) and MARK.fullmatch(value))


def test_every_label_annotation_and_name_of_the_code_is_on_the_page() -> None:
    found = set(marks())
    assert {run.RUN_LABEL, run.EXPIRES_LABEL, run.OWNED_BY, run.CORDONED_BY, run.UPGRADE_LABEL, "kubechain=1"} <= found
    assert [mark for mark in sorted(found) if f"`{mark}" not in PAGE] == []


def test_marks_on_the_page_are_those_of_the_code() -> None:
    written = set(re.findall(r"`(kubechain[./=][a-z0-9-]+)", PAGE))
    assert written - set(marks()) == set()


def test_files_and_folders_of_the_code_are_on_the_page() -> None:
    daemon = Daemon(Path("/cache"))
    files = [str(path.relative_to(daemon.cache)) for path in (daemon.config, daemon.isolation, daemon.data)]
    names = [*files, publish.MANIFEST, f"{run.FOLDERS}/ID", process.OWNER, *(f".{mark}`" for mark in run_locks.MARKS)]
    assert [name for name in names if name not in PAGE] == []
    assert f"`/run/{daemon.name.rpartition('-')[0]}-HASH/`" in PAGE
    assert f"`{creation.MANAGER}`" in PAGE
