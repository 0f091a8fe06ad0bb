"""`kubechain bench`: the claims beside upstream's tests of the same behaviour, on one kind cluster, in turn."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from kubechain import __version__
from kubechain.bench import api_load, ratios, rounds, selection
from kubechain.bench.records import BenchRecord, Measurement, Release, Releases
from kubechain.bench.selection import Selection
from kubechain.bench.upstream import UpstreamSide
from kubechain.cleanup import run_locks
from kubechain.cli.commands import BenchCommand
from kubechain.cli.run import export, require_writable
from kubechain.core import files, publish, secret_files, settings
from kubechain.core import run as runs
from kubechain.core.bundle import ROOT, bundled
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.progress import Progress
from kubechain.core.run import Run
from kubechain.core.settings import Settings
from kubechain.faults.upstream import setup
from kubechain.images import e2e_tests, golang, resolve
from kubechain.kube.client import Api
from kubechain.observe.clock import RealClock
from kubechain.provision import cluster
from kubechain.provision.cluster import Choice, Provided

RELEASES = ROOT / "docs" / "bench-releases.json"
FOLDER = "bench"


@dataclass
class Bench:
    """One measurement: its command, its run and what is compared."""

    command: BenchCommand
    settings: Settings
    run: Run
    progress: Progress
    chosen: Selection
    version: str

    def measure(self, provided: Provided, measurements: list[Measurement]) -> None:
        """Run all rounds on the cluster; append what was measured as it goes on."""
        kind = provided.cluster
        if kind is None:
            raise TypeError(provided)
        store = resolve.store_of(self.settings)
        program = setup.provide(kind, self.version, store, self.progress)
        ginkgo = golang.tools(e2e_tests.COMPONENT, self.version, store, self.progress) / "ginkgo"
        tests = setup.tests_of(program, [spec.spec for spec in self.chosen.specs])
        upstream = UpstreamSide(ginkgo, program, Path(kind.kubeconfig_path), Path(kind.kubectl_path), tests)
        provided.target.write(self.run.folder)
        claims = rounds.claims_side(self.run.folder, self.chosen.claims)
        control_plane, clock = next(node for node in kind.nodes() if node.endswith("control-plane")), RealClock()
        load, api = api_load.of_cluster(kind.docker, control_plane), Api(kind.kubeconfig_path, kind.context, self.run.secrets)
        both = rounds.Rounds(
            {"upstream": upstream.run, "kubechain": claims}, load, lambda: rounds.settle(api, clock),
            self.run.folder / FOLDER, self.progress, clock, measurements,
        )  # fmt: skip
        with load.counting():
            both.run(self.command.rounds)
            rounds.settle(api, clock)
        api.close()

    @contextmanager
    def cluster(self) -> Generator[Provided]:
        """Yield the kind cluster, a new one with an audit log unless it is kept; delete it after the body unless it stays."""
        choice = Choice(self.command.cluster, keep=self.command.keep, config=api_load.configuration(self.run.folder))
        provided = cluster.kind_cluster(self.run, self.settings, choice, self.progress)
        try:
            yield provided
        finally:
            if provided.cluster and provided.target.temporary:
                cluster.give_up(provided.cluster, self.settings.cache, self.progress)

    def record(self, measurements: list[Measurement]) -> BenchRecord:
        """Return the result of what was measured."""
        cores = os.cpu_count() or 1
        found = ratios.ratios(measurements)
        failed = sorted({name for each in measurements for name in each.failed})
        before = ratios.last_release(releases().releases, cores)
        code, line = ratios.outcome(found, failed, before)
        return BenchRecord(
            verdict=line,
            exit_code=code,
            release=__version__,
            kubernetes=self.version,
            cores=cores,
            rounds=self.command.rounds,
            specs=list(self.chosen.specs),
            without_claims=list(self.chosen.without_claims),
            left_out=list(self.chosen.left_out),
            measurements=measurements,
            ratios=found,
            before=before,
        )

    def publish(self, measurements: list[Measurement]) -> BenchRecord:
        """Publish and print the result of what was measured, if anything was; return it."""
        record = self.record(measurements)
        if measurements:
            bundled("reports.bench_page").write(record, self.run.folder)
            where = publish.publish(self.run.folder, self.settings.out)
            console = Console(highlight=False, soft_wrap=True)
            console.print(f"  page: {where / 'bench.html'}", markup=False)
            good = record.exit_code == ExitCode.HOLDS
            console.print(record.verdict, style="bold green" if good else "bold red", markup=False)
        return record


def work(command: BenchCommand) -> int:
    """Measure, write the results and print their line; return the exit code."""
    coverage: Any = bundled("reports.coverage")
    chosen = selection.select([(row.name, row.claims) for row in coverage.load().upstream], selection.read())
    version = e2e_tests.version_of(command.k8s)
    publish.require_ours(command.out)
    for name in ("cache", "out"):
        require_writable(f"--{name}", getattr(command, name))
    export(command, {})
    loaded = settings.load()
    measurements = list[Measurement]()
    with _running(loaded, command.cluster) as run:
        bench = Bench(command, loaded, run, Progress(), chosen, version)
        try:
            with bench.cluster() as provided:
                bench.measure(provided, measurements)
        finally:
            # Also of a command that was interrupted: what has ended was measured.
            record = bench.publish(measurements)
    if command.record and record.exit_code in (ExitCode.HOLDS, ExitCode.WORSE):
        remember(record)
    return record.exit_code


@contextmanager
def _running(loaded: Settings, kept: str) -> Generator[Run]:
    """Yield a run whose locks are held, and a folder that goes after the body."""
    run = runs.new(loaded.out)
    with ExitStack() as held:
        locks = [run_locks.acquire(loaded.cache, run.name), run_locks.hold(run.lock)]
        locks += [run_locks.acquire(loaded.cache, kept)] if kept else []
        for lock in locks:
            held.callback(lock.release)
        secret_files.folder(run.folder)
        held.callback(publish.discard, run.folder)
        yield run


def releases() -> Releases:
    """Return the ratios of earlier releases; SetupError (exit code USAGE) if their file cannot be read."""
    try:
        return Releases.model_validate_json(RELEASES.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SetupError(f"{RELEASES}: {' '.join(str(error).split())}", ExitCode.USAGE) from error


def remember(record: BenchRecord) -> None:
    """Write the ratios of a measurement to the file of releases, in place of those of the same release and cores."""
    others = [each for each in releases().releases if (each.release, each.cores) != (record.release, record.cores)]
    this = Release(release=record.release, kubernetes=record.kubernetes, cores=record.cores, ratios=record.ratios)
    content = Releases(releases=[*others, this]).as_json()
    files.write(RELEASES, json.dumps(content, indent=2) + "\n")
