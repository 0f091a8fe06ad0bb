"""Which claims of its level a run does not try, because options of pytest or of the command chose others."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kubechain.claims import claim
from kubechain.claims.claim import Claim
from kubechain.claims.records import SelectionRecord
from kubechain.core import bundle, files, secret_files
from kubechain.core.id_lists import ids
from kubechain.core.run import ALL_PARTS, SELECTION
from kubechain.core.settings import Settings
from kubechain.nested.suite_run import SUITES
from kubechain.pytest.session import asks_for_claims, is_own_suite, paths
from kubechain.pytest.state import run_state


@dataclass
class Collected:
    """What pytest found before anything was left out: the id of the claim of each node id, "" for other tests, and modules.

    `skipped` are modules that `--lf` did not read.
    """

    ids: dict[str, str] = field(default_factory=dict[str, str])
    modules: set[Path] = field(default_factory=set[Path])
    skipped: set[Path] = field(default_factory=set[Path])

    def add(self, items: Iterable[pytest.Item], settings: Settings) -> None:
        """Note tests; of the claims, those that a run of the level tries."""
        for item in items:
            stated = claim.of(item)
            self.ids[item.nodeid] = stated.id if stated and _expected(stated, settings) else ""
            self.modules.add(item.path)


COLLECTED = pytest.StashKey[Collected]()
# Option of pytest -> how it is written; those that leave out tests, of pytest 9.
FLAGS = {"lf": "--lf", "stepwise": "--stepwise"}
WITH_VALUE = {
    "keyword": "-k ",
    "markexpr": "-m ",
    "deselect": "--deselect=",
    "ignore": "--ignore=",
    "ignore_glob": "--ignore-glob=",
}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, object, object]:
    """Note what was collected, before any plugin leaves something out."""
    config.stash.setdefault(COLLECTED, Collected()).add(items, run_state(config).settings)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Note the tests of a module from which `--lf` leaves out those that passed, before it does, and modules that it skips."""
    report = yield
    config = collector.config
    if getattr(config.option, "lf", False):
        collected = config.stash.setdefault(COLLECTED, Collected())
        items = [each for each in report.result if isinstance(each, pytest.Item)]
        collected.add(items, run_state(config).settings)
        if isinstance(collector, pytest.File) and report.passed and not report.result:
            collected.skipped.add(collector.path)
    return report


def _expected(stated: Claim, settings: Settings) -> bool:
    return stated.belongs_to(settings.level, frozenset(), ids(settings.also), chains=settings.chains)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Write what was left out; all xdist workers write the same."""
    config = session.config
    if not asks_for_claims(config) or not run_state(config).chosen:
        return
    folder = secret_files.folder(run_state(config).run.folder)
    chosen = {item.nodeid for item in session.items}
    parts = folder / ALL_PARTS
    others: set[str] = set(json.loads(parts.read_text(encoding="utf-8"))) if parts.exists() else set()
    collected = config.stash[COLLECTED]
    left_out = {stated for nodeid, stated in collected.ids.items() if nodeid not in chosen} - others - {""}
    unread = (_expected_modules(config) | collected.skipped) - collected.modules
    if left_out or unread:
        names = sorted(os.path.relpath(path, config.rootpath) for path in unread)
        record = SelectionRecord(by=list(_options(config)), left_out=sorted(left_out), files=names)
        files.write(folder / SELECTION, json.dumps(record.as_json()))


def _expected_modules(config: pytest.Config) -> set[Path]:
    """Return the modules that a run of kubechain's own suites reads, if it judges the chain or a whole folder of claims."""
    if not is_own_suite(config):
        return set()
    suites, given = [bundle.ROOT / suite for suite in SUITES], paths(config)
    on_chain = any(suite == path or suite in path.parents for suite in suites for path in given)
    roots = [*(suites if on_chain else []), *(path for path in given if path.is_dir())]
    return {file for root in roots for file in root.rglob("test_*.py")}


def _options(config: pytest.Config) -> Iterator[str]:
    """Yield the options that leave out claims, as they are written."""
    settings, option = run_state(config).settings, config.option
    if settings.only:
        yield f"--only={settings.only}"
    for name, written in WITH_VALUE.items():
        given: str | list[str] = getattr(option, name, None) or []
        yield from (f"{written}{each}" for each in ([given] if isinstance(given, str) else given))
    yield from (written for name, written in FLAGS.items() if getattr(option, name, False))
    if os.environ.get("PYTEST_ADDOPTS"):
        # Who reads that a part was left out may not know that the environment says so.
        yield f"PYTEST_ADDOPTS={os.environ['PYTEST_ADDOPTS']}"


def record(folder: Path) -> SelectionRecord | None:
    """Return what a run left out, from the file in its folder; None if it tried all, or could not begin."""
    file = folder / SELECTION
    return SelectionRecord.model_validate_json(file.read_text(encoding="utf-8")) if file.exists() else None
