"""Upstream's own tests under the same faults: which tests, their time limit and their outcomes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET  # nosec B405  # of a report that a program of this run has just written
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from kubechain.core import redact
from kubechain.core.errors import HarnessError
from kubechain.core.process import TookTooLong, run
from kubechain.faults.fault import Fault
from kubechain.faults.records import Comparison, UpstreamOutcome
from kubechain.observe.clock import Clock

# The Testnames in docs/coverage.toml that test a link of the chain and take less than LIMIT on an unbroken cluster. Left out:
# tests of a status or a Scale alone, tests that take long by design (orphans of the garbage collector, rollover, proportional
# scaling), and tests that differ from one of these only in the type of the Service.
TESTS = (
    "Deployment RollingUpdate",
    "Deployment Recreate",
    "Deployment, completes the scaling of a Deployment subresource",
    "Replica Set, run basic image",
    "Replica Set, adopt matching pods and release non matching pods",
    "Service, NodePort Service",
    "Service, endpoints",
    "Service, endpoints with multiple ports",
    "Service, ClusterIP type, session affinity to ClientIP",
    "Service, change type, ExternalName to ClusterIP",
    "EndpointSlice, creation/deletion",
    "Endpoints, creation/deletion",
    "EndpointSlice, multiple IPs, multiple ports",
    "Pods, service environment variables",
    "DNS, services",
    "DNS, cluster",
    "DNS, PQDN for services",
    "DNS, for ExternalName Services",
    "Proxy through apiserver to a Service",
    "Garbage Collector, delete deployment,  propagation policy background",
)
# Seconds for each test, since upstream sets no limit. Each test is a process, and all run in parallel, so that a test that
# hangs does not delay the others.
LIMIT = 40
GRACE = 5
# From LIMIT to the end of the process: several clean-up steps, each with its GRACE, and the report.
END_SECONDS = 30.0
LOG_CHARACTERS = 16_000
# Faults that reach only objects of this suite, by name, labels, image or port.
SUITE_ONLY = frozenset(
    [
        "selector-changed",
        "large-packets-lost",
        "target-port-changed",
        "image-replaced",
        "page-wrong",
        "server-error",
        "crash-loop",
        "out-of-memory",
        "never-ready",
        "pods-never-end",
        "image-missing",
        "backend-black-holed",
        "packets-lost",
        "answers-refused",
        "dns-one-wrong",
        "dns-name-denied",
        "dns-names-invented",
        "app-slow",
        "start-slow",
        "neighbours",
        "api-proxy-dropped",
        "control-plane-cut-off",
        "dns-search-changed",
        "dns-namespace-ignored",
        "image-always-pulled",
        "image-missing-on-control-plane",
        "client-image-missing",
    ]
)
STATES: Mapping[str, UpstreamOutcome] = {
    "passed": "passed",
    "timedout": "timeout",
    "interrupted": "timeout",
    "skipped": "skipped",
    "pending": "skipped",
}


@dataclass(frozen=True)
class UpstreamTests:
    """The program e2e.test for one cluster; `tests` is Testname -> the test's full name in the program."""

    program: Path
    kubeconfig: Path
    kubectl: Path
    tests: Mapping[str, str]

    def under(self, fault: Fault, folder: Path, clock: Clock) -> Comparison:
        """Run the tests under a fault, if it reaches them; the logs of tests that do not pass are written to `folder`.

        Raises:
            HarnessError: a test's process ends within its time limit without a report.

        """
        # A fault during an upgrade has ended when the rehearsal ends.
        if fault.id in SUITE_ONLY or fault.kind == "upgrade":
            return Comparison()
        start = clock.now()
        outcomes = self.run(folder)
        return Comparison(outcomes=outcomes, seconds=clock.now() - start)

    def run(self, folder: Path) -> dict[str, UpstreamOutcome]:
        """Run all tests in parallel; return Testname -> outcome."""
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(len(self.tests)) as pool:
            futures = {test: pool.submit(self._one, test, folder) for test in self.tests}
            try:
                return {test: future.result() for test, future in futures.items()}
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _one(self, test: str, folder: Path) -> UpstreamOutcome:
        log = folder / f"{re.sub(r'[^A-Za-z0-9]+', '-', test)}.txt"
        # The program leaves folders in its temporary folder.
        with TemporaryDirectory(dir=folder) as temporary:
            report = Path(temporary, "report.xml")
            try:
                done = run(self.command(test, report), timeout=LIMIT + END_SECONDS, env={"TMPDIR": temporary})
                if not report.exists():
                    raise HarnessError(f"upstream's test {test!r} wrote no report (status {done.status}): {done.last_words}")
                outcome, output = outcome_of(report.read_text(encoding="utf-8"), self.tests[test]), done.stdout + done.stderr
            except TookTooLong as late:
                outcome, output = "timeout", str(late)
        if outcome != "passed":
            log.write_text(redact.text(output)[-LOG_CHARACTERS:], encoding="utf-8")
        return outcome

    def command(self, test: str, report: Path) -> list[str | Path]:
        """Return the command that runs one test."""
        return [
            self.program,
            *options(self.kubeconfig, self.kubectl),
            f"--ginkgo.focus={re.escape(self.tests[test])}$",
            f"--ginkgo.timeout={LIMIT}s",
            f"--ginkgo.grace-period={GRACE}s",
            "--ginkgo.no-color",
            f"--ginkgo.junit-report={report}",
        ]


def options(kubeconfig: Path, kubectl: Path) -> list[str]:
    """Return the options of e2e.test for a kind cluster of kubechain.

    allowed-not-ready-nodes=-1 skips the checks before and after a test, which would wait for a broken cluster.
    """
    return [
        f"--kubeconfig={kubeconfig}",
        f"--kubectl-path={kubectl}",
        "--provider=skeleton",
        "--num-nodes=2",
        "--allowed-not-ready-nodes=-1",
        "--dump-logs-on-failure=false",
        "--disable-log-dump",
    ]


def outcome_of(report: str, test: str) -> UpstreamOutcome:
    """Return the outcome of a test (full name) from the JUnit report of its run; if the set-up failed, that of the set-up.

    Raises:
        HarnessError: the report does not have exactly one test of this name.

    """
    elements = ET.fromstring(report).iter("testcase")  # noqa: S314  # nosec B314  # see the import
    cases: list[tuple[str, UpstreamOutcome]] = [(str(case.get("name")), _outcome(str(case.get("status")))) for case in elements]
    outcomes: list[UpstreamOutcome] = [outcome for name, outcome in cases if f"{name} ".startswith(f"[It] {test} ")]
    if not outcomes or outcomes == ["skipped"]:
        setup: list[UpstreamOutcome] = [outcome for name, outcome in cases if "BeforeSuite]" in name and outcome != "passed"]
        if setup:
            return setup[0]
    if len(outcomes) != 1:
        raise HarnessError(f"upstream's report has {len(outcomes)} tests named {test!r}, must have exactly 1")
    return outcomes[0]


def _outcome(state: str) -> UpstreamOutcome:
    """Return the outcome for a state of ginkgo; an unknown state counts as failed."""
    return STATES.get(state, "failed")
