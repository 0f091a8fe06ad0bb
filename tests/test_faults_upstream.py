import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from kubechain.claims.claim import Link
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.faults.admission_policies import Mutation
from kubechain.faults.catalogue import selection
from kubechain.faults.fault import Fault
from kubechain.faults.injections import IptablesRule, frozen
from kubechain.faults.records import Comparison, FaultSeconds, Score, UpstreamOutcome
from kubechain.faults.scoring import score, verdict_line
from kubechain.faults.upstream import run, setup
from kubechain.faults.upstream.run import SUITE_ONLY, TESTS, UpstreamTests, outcome_of
from kubechain.images import e2e_tests, pins
from kubechain.workload.manifests import CONTAINER_PORT, WEB
from reports import coverage, fault_matrix
from tests.fakes import FakeClock, record, run_record

NAME = "[sig-apps] Deployment should roll [Conformance]"
BROKEN = Fault("broken", "node", "Pods do not start", Link.PODS, frozen("x"), ("CHAIN-PODS-010",), "PodScheduled")
HARMLESS = Fault("harmless", "harmless", "nothing", None, frozen("x"))
WHOLE = run_record(None, code=0)
SECONDS = FaultSeconds(verdict=12.0)


def report(*cases: tuple[str, str]) -> str:
    inside = "".join(f'<testcase name="{name}" classname="e2e" status="{status}" time="0"></testcase>' for name, status in cases)
    return f'<?xml version="1.0" encoding="UTF-8"?><testsuites><testsuite name="e2e">{inside}</testsuite></testsuites>'


def of(status: str) -> str:
    other = ("[It] [sig-apps] Deployment should roll [Conformance]ly [sig-apps]", "passed")
    return report(("[SynchronizedBeforeSuite]", "passed"), other, (f"[It] {NAME} [sig-apps, Conformance]", status))


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("passed", "passed"),
        ("failed", "failed"),
        ("panicked", "failed"),
        ("aborted", "failed"),
        ("never heard of", "failed"),
        ("timedout", "timeout"),
        ("interrupted", "timeout"),
        ("skipped", "skipped"),
        ("pending", "skipped"),
    ],
)
def test_outcome_is_what_the_report_says_of_the_test(status: str, outcome: str) -> None:
    assert outcome_of(of(status), NAME) == outcome


@pytest.mark.parametrize(("status", "outcome"), [("failed", "failed"), ("timedout", "timeout")])
def test_failed_set_up_gives_the_test_its_outcome(status: str, outcome: str) -> None:
    before = ("[SynchronizedBeforeSuite]", status)
    assert outcome_of(report(before), NAME) == outcome
    assert outcome_of(report(before, (f"[It] {NAME} [sig-apps]", "skipped")), NAME) == outcome


def test_failure_after_a_test_does_not_change_its_outcome() -> None:
    assert (
        outcome_of(report((f"[It] {NAME} [x]", "passed"), ("[ReportAfterSuite] Invariant Metrics", "failed")), NAME) == "passed"
    )


def test_report_without_exactly_one_such_test_is_a_harness_error() -> None:
    with pytest.raises(HarnessError, match="has 0 tests named"):
        outcome_of(report((f"[It] {NAME}ly [a]", "passed"), ("[SynchronizedBeforeSuite]", "passed")), NAME)
    twice = (f"[It] {NAME} [a]", "passed")
    with pytest.raises(HarnessError, match="has 2 tests named"):
        outcome_of(report(twice, twice), NAME)


def program(folder: Path, script: str) -> UpstreamTests:
    """Return two tests of upstream whose program is a shell script with the variables $report and $focus."""
    path = folder / "e2e.test"
    head = "#!/bin/sh\nfor word; do case $word in *junit-report=*) report=${word#*=};; *focus=*) focus=${word#*=};; esac; done\n"
    path.write_text(head + script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    tests = {"One, two": "[sig-a] One two [Conformance]", "Three": "[sig-a] Three [Conformance]"}
    return UpstreamTests(path, folder / "kubeconfig", folder / "kubectl", tests)


ONE = report(("[It] [sig-a] One two [Conformance] [x]", "passed"), ("[It] [sig-a] Three [Conformance] [x]", "failed"))


def test_each_test_has_its_outcome_and_only_a_failed_one_a_log(tmp_path: Path) -> None:
    (tmp_path / "given.xml").write_text(ONE)
    tests = program(tmp_path, f'echo "token: abcdefghijklmnop"; echo "$focus"; cp {tmp_path}/given.xml "$report"; exit 1\n')
    assert tests.run(tmp_path / "out") == {"One, two": "passed", "Three": "failed"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["Three.txt"]
    log = (tmp_path / "out" / "Three.txt").read_text()
    assert "Three" in log
    assert "abcdefghijklmnop" not in log


def test_temporary_folder_of_a_program_is_removed(tmp_path: Path) -> None:
    (tmp_path / "given.xml").write_text(ONE)
    script = f'mkdir "$TMPDIR/kuberc"; echo "$TMPDIR" >> {tmp_path}/folders; cp {tmp_path}/given.xml "$report"\n'
    program(tmp_path, script).run(tmp_path / "out")
    folders = {Path(line) for line in (tmp_path / "folders").read_text().splitlines()}
    assert [path.parent for path in folders] == [tmp_path / "out"] * 2
    assert not any(path.exists() for path in folders)


def test_program_that_hangs_is_a_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "LIMIT", 0.1)
    monkeypatch.setattr(run, "END_SECONDS", 0.2)
    tests = program(tmp_path, 'echo "<testsuites" > "$report"; exec sleep 60\n')
    assert set(tests.run(tmp_path / "out").values()) == {"timeout"}
    assert "took more than" in (tmp_path / "out" / "Three.txt").read_text()


def test_program_without_a_report_is_a_harness_error(tmp_path: Path) -> None:
    tests = program(tmp_path, "echo no such flag >&2; exit 2\n")
    with pytest.raises(HarnessError, match=r"no report \(status 2\): no such flag"):
        tests.run(tmp_path / "out")


def test_command_is_for_one_test_and_bounded(tmp_path: Path) -> None:
    words = program(tmp_path, "").command("One, two", tmp_path / "r.xml")
    assert r"--ginkgo.focus=\[sig\-a\]\ One\ two\ \[Conformance\]$" in words
    assert f"--ginkgo.timeout={run.LIMIT}s" in words
    assert f"--kubeconfig={tmp_path / 'kubeconfig'}" in words


def test_fault_that_reaches_only_this_suite_is_not_compared(tmp_path: Path) -> None:
    tests, faults = program(tmp_path, "exit 2\n"), {fault.id: fault for fault in selection.ALL}
    for name in ("page-wrong", "upgrade-dns-away"):
        assert tests.under(faults[name], tmp_path / "out", FakeClock()) == Comparison()
    with pytest.raises(HarnessError):
        tests.under(faults["scheduler-stopped"], tmp_path / "out", FakeClock())


def test_faults_that_reach_only_this_suite_are_listed() -> None:
    def suite_only(fault: Fault) -> bool:
        injection = fault.injection
        if isinstance(injection, Mutation):
            return f"'{WEB}'" in injection.condition or "'nginx'" in injection.condition
        return isinstance(injection, IptablesRule) and f"--dport {CONTAINER_PORT}" in injection.rule

    assert {fault.id for fault in selection.ALL} >= SUITE_ONLY
    assert {fault.id for fault in selection.ALL if suite_only(fault)} - SUITE_ONLY == set()


def test_tests_are_listed_in_the_coverage_once() -> None:
    rows = [row.name for row in coverage.load().upstream]
    assert [test for test in TESTS if test not in rows] == []
    assert len(set(TESTS)) == len(TESTS)


def scored(fault: Fault, *outcomes: UpstreamOutcome, reached: bool = True) -> Score:
    broken = run_record("PODS", record(Link.PODS, "failed", "PodScheduled is False"))
    seen = Comparison(outcomes=dict(zip("abcd", outcomes, strict=False)), seconds=7.0) if reached else Comparison()
    return score(fault, WHOLE if fault.at is None else broken, SECONDS, seen)


def test_end_line_counts_what_upstream_noticed_and_what_by_timeouts_alone() -> None:
    good, line = verdict_line(
        [
            scored(BROKEN, "passed", "passed"),
            scored(BROKEN, "failed", "timeout"),
            scored(BROKEN, "passed", "timeout"),
            scored(BROKEN, "passed", "skipped"),
            scored(BROKEN, reached=False),
            scored(HARMLESS, "passed", "failed"),
            scored(HARMLESS, "passed", "timeout"),
            scored(HARMLESS, "passed"),
        ],
        8,
    )
    assert good
    assert line.endswith(
        "; upstream noticed 2 of 4 faults (1 by timeouts alone, 1 do not reach it), "
        "2 false alarms on harmless (1 by timeouts alone)"
    )


def test_upstream_does_not_change_the_result_and_is_left_out_if_not_compared() -> None:
    alone = score(HARMLESS, WHOLE, SECONDS)
    assert "upstream" not in verdict_line([alone], 1)[1]
    assert alone.as_json()["upstream"] is None
    assert scored(HARMLESS, "failed").result == "green"
    assert "upstream noticed 1 of 1 faults, 0 false alarms on harmless" in verdict_line([scored(BROKEN, "failed")], 1)[1]


def test_document_holds_every_outcome_of_upstream() -> None:
    (fault,) = fault_matrix.document([scored(BROKEN, "passed", "timeout")], "line").as_json()["faults"]
    assert fault["upstream"] == {"outcomes": {"a": "passed", "b": "timeout"}, "seconds": 7.0, "codeReached": True}
    assert fault["seconds"] == {"inject": 0.0, "verdict": 12.0, "heal": 0.0}


def test_picture_has_a_column_for_upstream() -> None:
    assert fault_matrix.of_upstream(Comparison(outcomes={"a": "failed", "b": "timeout", "c": "passed"}), broken=True) == (
        "upstream: 2 of 3 noticed, 1 by timeout",
        fault_matrix.GOOD,
    )
    assert fault_matrix.of_upstream(Comparison(outcomes={"a": "passed"}), broken=True) == (
        "upstream: 0 of 1 noticed",
        fault_matrix.BAD,
    )
    assert fault_matrix.of_upstream(Comparison(outcomes={"a": "failed"}), broken=False)[1] == fault_matrix.BAD
    assert fault_matrix.of_upstream(Comparison(outcomes={"a": "passed"}), broken=False)[1] == fault_matrix.GOOD
    assert fault_matrix.of_upstream(Comparison(), broken=True) == ("upstream: not reached", fault_matrix.NEITHER)
    assert "upstream: 1 of 2 noticed" in fault_matrix.svg([scored(BROKEN, "failed", "passed")])
    assert "upstream" not in fault_matrix.svg([score(HARMLESS, WHOLE, SECONDS)])


def test_image_gets_only_names_that_the_node_does_not_have(tmp_path: Path) -> None:
    existing, tagged = tmp_path / "existing", tmp_path / "tagged"
    existing.write_text("host.example/pause:1\n")
    ctr = tmp_path / "ctr"
    ctr.write_text(
        f'#!/bin/sh\ncase "$4" in list) grep -x "${{6#name==}}" {existing};;\n'
        f'tag) echo "$5 $6" >> {tagged}; test "$6" != bad;; esac\n'
    )
    ctr.chmod(0o755)
    shell = shutil.which("sh") or "sh"

    def status(*names: str) -> int:
        script = setup.as_names("docker.io/kubechain/agnhost:1", names)
        return subprocess.run([shell, "-c", script], env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, check=False).returncode

    assert status("host.example/pause:1", "host.example/agnhost:2") == 0
    assert tagged.read_text() == "docker.io/kubechain/agnhost:1 host.example/agnhost:2\n"
    assert status("bad", "host.example/agnhost:3") != 0


def test_full_names_come_from_the_list_of_the_program() -> None:
    listed = [{"testname": "A", "codename": "[sig] a"}, {"testname": "B", "codename": "[sig] b"}]
    assert setup.full_names(listed, ["B"]) == {"B": "[sig] b"}
    with pytest.raises(HarnessError, match="no tests with these names: C"):
        setup.full_names(listed, ["A", "C"])


def test_agnhost_stands_in_for_images_by_the_last_part_of_their_names() -> None:
    listed = ["host.example/e2e/agnhost:2.1", "host.example/nginx:1", "host.example/nginx/other:1", "host.example/pause:3"]
    assert e2e_tests.replaceable(listed) == ["host.example/e2e/agnhost:2.1", "host.example/nginx:1"]


def test_tests_are_pinned_for_the_default_version_and_nothing_else_is_taken_for_them() -> None:
    assert e2e_tests.version_of("") == pins.load().default
    unpinned = sorted(set(pins.load().kubernetes) - set(e2e_tests.pinned()))
    for version in unpinned:
        with pytest.raises(SetupError, match=f"no tests of Kubernetes {version}") as caught:
            e2e_tests.version_of(version)
        assert caught.value.code == ExitCode.USAGE


def test_pinned_tests_are_of_the_version_of_their_folder() -> None:
    for version in e2e_tests.pinned():
        module = pins.module(e2e_tests.COMPONENT, version)
        assert f"k8s.io/kubernetes v{version}" in (module / "go.mod").read_text()
        assert f"k8s.io/kubernetes v{version} h1:" in (module / "go.sum").read_text()
