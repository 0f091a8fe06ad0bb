"""Upstream's own tests, run under the same faults: which of them, how long they are given, and what they found."""

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

# Of the tests in docs/coverage.toml, by Testname, those that look at a hand-over of the chain and take less than LIMIT on
# a whole cluster. Not: those that are about a status or a Scale alone, that take long by design (the orphans of the
# garbage collector, rollover, proportional scaling), or that differ from one here by the type of the Service.
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
# Seconds for each test, which has none of its own. Each is a program of its own and all run at once, so that those that
# hang keep no other waiting.
LIMIT = 40
GRACE = 5
# From the end of LIMIT to that of the program: some steps of cleaning up, each with its GRACE, and the report.
END_SECONDS = 30.0
LOG_CHARACTERS = 16_000
# Faults that are aimed at what only this suite makes, by its name, its labels, its image or its port.
OURS_ALONE = frozenset(
    [
        "selector-changed",
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
    """The program e2e.test for one cluster; `tests` is Testname -> the full name by which the program knows a test."""

    program: Path
    kubeconfig: Path
    kubectl: Path
    tests: Mapping[str, str]

    def under(self, fault: Fault, folder: Path, clock: Clock) -> Comparison:
        """Run the tests under a fault, if it reaches them; logs of those that do not pass are left in `folder`.

        Raises:
            HarnessError: a program ended by itself and left no report.

        """
        # Those in the middle of an upgrade are over when its rehearsal is.
        if fault.id in OURS_ALONE or fault.kind == "upgrade":
            return Comparison()
        start = clock.now()
        outcomes = self.run(folder)
        return Comparison(outcomes=outcomes, seconds=clock.now() - start)

    def run(self, folder: Path) -> dict[str, UpstreamOutcome]:
        """Run all tests at once, and return the outcome of each."""
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(len(self.tests)) as pool:
            under_way = {test: pool.submit(self._one, test, folder) for test in self.tests}
            try:
                return {test: future.result() for test, future in under_way.items()}
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _one(self, test: str, folder: Path) -> UpstreamOutcome:
        log = folder / f"{re.sub(r'[^A-Za-z0-9]+', '-', test)}.txt"
        # The program leaves folders in the temporary one.
        with TemporaryDirectory(dir=folder) as temporary:
            report = Path(temporary, "report.xml")
            try:
                done = run(self.command(test, report), timeout=LIMIT + END_SECONDS, env={"TMPDIR": temporary})
                if not report.exists():
                    raise HarnessError(f"upstream's test {test!r} left no report (status {done.status}): {done.last_words}")
                outcome, said = outcome_of(report.read_text(encoding="utf-8"), self.tests[test]), done.stdout + done.stderr
            except TookTooLong as late:
                outcome, said = "timeout", str(late)
        if outcome != "passed":
            log.write_text(redact.text(said[-LOG_CHARACTERS:]), encoding="utf-8")
        return outcome

    def command(self, test: str, report: Path) -> list[str | Path]:
        """Return the command that runs one test.

        The checks before and after are left out (allowed-not-ready-nodes): they would wait for a cluster that is broken.
        """
        return [
            self.program,
            f"--kubeconfig={self.kubeconfig}",
            f"--kubectl-path={self.kubectl}",
            "--provider=skeleton",
            "--num-nodes=2",
            "--allowed-not-ready-nodes=-1",
            "--dump-logs-on-failure=false",
            "--disable-log-dump",
            f"--ginkgo.focus={re.escape(self.tests[test])}$",
            f"--ginkgo.timeout={LIMIT}s",
            f"--ginkgo.grace-period={GRACE}s",
            "--ginkgo.no-color",
            f"--ginkgo.junit-report={report}",
        ]


def outcome_of(report: str, test: str) -> UpstreamOutcome:
    """Return how a test ended, by its full name and the JUnit report of a run for it alone.

    Where the set-up of the run failed, so did the test. A test that the report does not know has not been run: a failure
    of the harness.
    """
    found = ET.fromstring(report).iter("testcase")  # noqa: S314  # nosec B314  # see the import
    cases: list[tuple[str, UpstreamOutcome]] = [(str(case.get("name")), _outcome(str(case.get("status")))) for case in found]
    outcomes: list[UpstreamOutcome] = [outcome for name, outcome in cases if f"{name} ".startswith(f"[It] {test} ")]
    if not outcomes or outcomes == ["skipped"]:
        wrong: list[UpstreamOutcome] = [outcome for name, outcome in cases if "BeforeSuite]" in name and outcome != "passed"]
        if wrong:
            return wrong[0]
    if len(outcomes) != 1:
        raise HarnessError(f"{len(outcomes)} tests are named {test!r} in upstream's report, not one")
    return outcomes[0]


def _outcome(state: str) -> UpstreamOutcome:
    """Return what a state of ginkgo means; one that is not known here is no pass."""
    return STATES.get(state, "failed")
