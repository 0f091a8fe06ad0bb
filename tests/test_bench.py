"""The comparison with upstream: what is compared, ratios and their guard, both sides as processes, and the page."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import yaml

from kubechain.bench import api_load, ratios, rounds, selection
from kubechain.bench.api_load import ApiLoad, Reading
from kubechain.bench.records import LeftOut, LoadRecord, Measurement, Ratio, Ratios, Release, Side
from kubechain.bench.rounds import Rounds
from kubechain.bench.upstream import UpstreamSide
from kubechain.claims.claim import Link
from kubechain.cli import bench as command
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.core.progress import Progress
from kubechain.images.docker import Docker
from reports import catalogue, coverage
from tests.fakes import FakeClock, record, run_record

LOAD = LoadRecord(requests=100, watches=7, bytes_sent=1_000_000, bytes_received=2_500_000)
GATEWAY = "172.18.0.1"
SLOW = [LeftOut(claims=["B", "C"], reason="a load", instead=["D"])]


def measured(round_: int, side: Side, seconds: float, *failed: str, processes: int = 1) -> Measurement:
    return Measurement(round=round_, processes=processes, side=side, seconds=seconds, failed=list(failed), load=LOAD)


def pairs(processes: int, *seconds: tuple[float, float]) -> list[Measurement]:
    return [
        measured(number, side, taken, processes=processes)
        for number, both in enumerate(seconds, 1)
        for side, taken in zip(("upstream", "kubechain"), both, strict=True)
    ]


def ratio(*values: float) -> Ratio:
    return Ratio(median=sorted(values)[len(values) // 2], min=min(values), max=max(values), rounds=len(values))


def of_all(*values: float) -> Ratios:
    return Ratios(serial=ratio(*values), parallel2=ratio(*values), parallel4=ratio(*values))


def release(ratios_: Ratios, cores: int = 2) -> Release:
    return Release(release="1.0", kubernetes="1.37.2", cores=cores, ratios=ratios_)


def test_claims_that_do_far_more_are_left_out_and_others_take_their_place() -> None:
    chosen = selection.select([("one", ["A", "B"]), ("two", ["A"]), ("none", []), ("three", ["C"])], SLOW)
    assert [(spec.spec, spec.claims) for spec in chosen.specs] == [("one", ["A", "D"]), ("two", ["A"]), ("three", ["D"])]
    assert (chosen.claims, list(chosen.without_claims)) == (["A", "D"], ["none"])


def test_what_is_left_out_must_cover_a_test_and_leave_it_a_claim() -> None:
    with pytest.raises(SetupError, match="C: no claim that covers a test") as caught:
        selection.select([("one", ["B"])], SLOW)
    assert caught.value.code == ExitCode.USAGE
    with pytest.raises(SetupError, match="nothing is left to compare with one"):
        selection.select([("one", ["B"])], [LeftOut(claims=["B"], reason="x")])


def test_committed_files_name_claims_that_exist() -> None:
    chosen = selection.select([(row.name, row.claims) for row in coverage.load().upstream], selection.read())
    ids = {entry.claim.id for entry in catalogue.collect()}
    assert set(chosen.claims) - ids == set()
    assert all(entry.reason for entry in chosen.left_out)
    assert command.releases().releases is not None


def test_file_of_another_form_is_named(tmp_path: Path) -> None:
    (tmp_path / "bench.toml").write_text('[[left_out]]\nclaims = ["A"]\n')
    with pytest.raises(SetupError, match=r"bench\.toml: .*reason"):
        selection.read(tmp_path / "bench.toml")


def test_ratio_is_the_median_of_the_rounds_in_which_both_sides_passed() -> None:
    listed = [*pairs(1, (60, 20), (60, 30), (50, 10)), measured(4, "upstream", 900), measured(4, "kubechain", 1, "CHAIN-X-010")]
    found = ratios.ratios(listed)
    assert found.serial == Ratio(median=3.0, min=2.0, max=5.0, rounds=3)
    assert found.parallel2 is None


def test_ratio_is_worse_only_if_all_rounds_are_and_by_more_than_the_margin() -> None:
    before = ratio(3.0, 3.1, 3.3)
    assert ratios.is_worse(ratio(2.0, 2.1, 2.9), before)
    assert not ratios.is_worse(ratio(2.0, 2.1, 3.0), before), "one round is as good"
    assert not ratios.is_worse(ratio(2.8, 2.9, 2.95), before), "within the margin"
    assert not ratios.is_worse(ratio(1.0, 1.0), before), "too few rounds"
    assert not ratios.is_worse(ratio(9.0, 9.1, 9.2), before)


@pytest.mark.parametrize(
    ("now", "before", "code", "said"),
    [
        (of_all(3.0, 3.1, 3.2), None, ExitCode.HOLDS, "no release to compare with on so many cores"),
        (of_all(3.0, 3.1, 3.2), release(of_all(3.0, 3.0, 3.1)), ExitCode.HOLDS, "not worse than 1.0"),
        (of_all(2.0, 2.1, 2.2), release(of_all(3.0, 3.0, 3.1)), ExitCode.WORSE, "worse than 1.0: serial 3.00 to 2.10, parallel2"),
        (of_all(2.0), release(of_all(3.0, 3.0, 3.1)), ExitCode.HOLDS, "not compared with 1.0: that needs 3 rounds"),
        (Ratios(), None, ExitCode.HARNESS, "no ratio serially, no ratio with 2 processes"),
    ],
)
def test_line_and_exit_code_say_how_fast_and_whether_worse(now: Ratios, before: Release | None, code: int, said: str) -> None:
    found, line = ratios.outcome(now, [], before)
    assert found == code
    assert said in line
    if now.serial:
        assert f"{now.serial.median:.2f} times as fast as upstream serially" in line
    assert ratios.outcome(now, ["DNS, cluster"], before)[1].count("not passed: DNS, cluster") == 1


def test_releases_on_other_numbers_of_cores_are_not_compared() -> None:
    listed = [release(of_all(1.0), 2), release(of_all(2.0), 4)]
    assert ratios.last_release(listed, 2) == listed[0]
    assert ratios.last_release(listed, 8) is None


def programs(folder: Path, script: str) -> UpstreamSide:
    """Return two tests of upstream whose ginkgo is a shell script with the variables $report and $focus."""
    path = folder / "ginkgo"
    words = "for word; do case $word in --output-dir=*) out=${word#*=};; --focus=*) focus=${word#*=};; esac; done\n"
    path.write_text(f"#!/bin/sh\n{words}report=$out/junit.xml\n{script}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    tests = {"One, two": "[sig-a] One two [Conformance]", "Three": "[sig-a] Three [Conformance]"}
    return UpstreamSide(path, folder / "e2e.test", folder / "kubeconfig", folder / "kubectl", tests)


REPORT = """<testsuites><testsuite name="e2e">
<testcase name="[It] [sig-a] One two [Conformance] [x]" status="passed"/>
<testcase name="[It] [sig-a] Three [Conformance] [x]" status="{}"/></testsuite></testsuites>"""


def test_upstream_runs_all_tests_at_once_and_keeps_the_output_of_a_failure(tmp_path: Path) -> None:
    (tmp_path / "given.xml").write_text(REPORT.format("failed"))
    script = f'echo "token: abcdefghijklmnop"; echo "$focus"; echo "$@" > {tmp_path}/words\n'
    script += f'cp {tmp_path}/given.xml "$report"; exit 1\n'
    side = programs(tmp_path, script)
    assert side.run(4, tmp_path / "out") == ["Three"]
    output = (tmp_path / "out" / "output.txt").read_text()
    assert r"\[sig\-a\]\ One\ two\ \[Conformance\]$|\[sig\-a\]\ Three" in output
    assert "abcdefghijklmnop" not in output
    words = (tmp_path / "words").read_text()
    assert words.startswith("run --procs=4 ")
    assert f"{tmp_path}/e2e.test -- --kubeconfig={tmp_path}/kubeconfig" in words
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["output.txt"]


def test_upstream_that_passes_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "given.xml").write_text(REPORT.format("passed"))
    assert programs(tmp_path, f'cp {tmp_path}/given.xml "$report"\n').run(1, tmp_path / "out") == []
    assert list((tmp_path / "out").iterdir()) == []


def test_upstream_without_a_report_is_a_harness_error(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"no report \(status 2\): no such flag"):
        programs(tmp_path, "echo no such flag >&2; exit 2\n").run(1, tmp_path / "out")


def test_claims_that_did_not_pass_are_named_also_if_they_did_not_run() -> None:
    passed, failed = record(Link.PODS, "passed", id="CHAIN-PODS-010"), record(Link.DNS, "failed", "x", id="CHAIN-DNS-010")
    run = run_record("DNS", passed, failed)
    assert rounds.not_passed(run, ["CHAIN-PODS-010", "CHAIN-DNS-010", "LIFE-SCALE-010"]) == ["CHAIN-DNS-010", "LIFE-SCALE-010"]


ROUTE, RULES = f"default via {GATEWAY} dev eth0", "iptables -w -nvxL"
EVENTS = [
    {"auditID": "1", "verb": "watch", "sourceIPs": [GATEWAY]},
    {"auditID": "1", "verb": "watch", "sourceIPs": [GATEWAY]},
    {"auditID": "2", "verb": "get", "sourceIPs": [GATEWAY]},
    {"auditID": "3", "verb": "get", "sourceIPs": ["10.244.1.4"], "userAgent": f"asks {GATEWAY}"},
]


@pytest.fixture
def node(tmp_path: Path) -> Docker:
    """A container engine whose `exec` runs the script here, with an iptables that counts from a file and an audit log."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (tmp_path / "rules").touch()
    scripts = {
        "docker": f'PATH={bin_}:$PATH\nshift 2\ncase "$1" in ip) echo "{ROUTE}";; *) sh -c "$3";; esac\n',
        "iptables": f'case "$2" in -I|-D) echo "$2 $3" >> {tmp_path}/rules;;\n'
        f'*) printf "Chain\\n    12   %s  tcp -- /* kubechain-bench */\\n" "$(cat {tmp_path}/$3)";; esac\n',
        "stat": f"/usr/bin/stat -c %s {tmp_path}/log\n",
        "tail": f'/usr/bin/tail "$1" "$2" {tmp_path}/log\n',
    }
    for name, script in scripts.items():
        (bin_ / name).write_text(f"#!/bin/sh\n{script}")
        (bin_ / name).chmod(0o755)
    for chain in ("INPUT", "OUTPUT"):
        (tmp_path / chain).write_text("1000")
    (tmp_path / "log").write_text('{"auditID": "0", "verb": "get", "sourceIPs": ["172.18.0.1"]}\n')
    return Docker(bin_ / "docker")


def test_load_is_what_this_machine_asked_between_two_readings(tmp_path: Path, node: Docker) -> None:
    load = api_load.of_cluster(node, "c-control-plane")
    assert load == ApiLoad(node, "c-control-plane", GATEWAY)
    with load.counting():
        before = load.read()
        (tmp_path / "INPUT").write_text("1500")
        (tmp_path / "OUTPUT").write_text("4000")
        with (tmp_path / "log").open("a") as log:
            log.writelines(f"{json.dumps(event)}\n" for event in EVENTS)
        assert load.since(before) == LoadRecord(requests=2, watches=1, bytes_sent=500, bytes_received=3000)
    assert (tmp_path / "rules").read_text().split() == ["-I", "INPUT", "-I", "OUTPUT", "-D", "INPUT", "-D", "OUTPUT"]


def test_requests_are_not_counted_without_an_audit_log(tmp_path: Path, node: Docker) -> None:
    load = api_load.of_cluster(node, "c-control-plane")
    (tmp_path / "log").unlink()
    assert load.since(Reading(0, 0, None)) == LoadRecord(requests=None, watches=None, bytes_sent=1000, bytes_received=1000)


def test_cluster_of_a_measurement_has_an_audit_log(tmp_path: Path) -> None:
    config = yaml.safe_load(api_load.configuration(tmp_path).read_text())
    assert [len(node.get("extraMounts", [])) for node in config["nodes"]] == [1, 0, 0]
    (patch,) = [p for p in map(yaml.safe_load, config["kubeadmConfigPatches"]) if p["kind"] == "ClusterConfiguration"]
    arguments = {each["name"]: each["value"] for each in patch["apiServer"]["extraArgs"]}
    assert arguments["audit-log-path"] == api_load.LOG
    assert yaml.safe_load(api_load.POLICY.read_text())["kind"] == "Policy"


class FakeLoad(ApiLoad):
    """Counters that stand still."""

    def read(self) -> Reading:
        return Reading(0, 0, 0)

    def since(self, before: Reading) -> LoadRecord:  # noqa: ARG002
        return LOAD


def test_sides_take_turns_on_a_settled_cluster_and_the_first_changes_with_the_round(tmp_path: Path) -> None:
    clock, done, settled = FakeClock(), list[tuple[str, int]](), list[int]()

    def side(name: Side, seconds: float) -> rounds.RunSide:
        def run(processes: int, folder: Path) -> list[str]:
            folder.mkdir()
            done.append((name, processes))
            clock.time += seconds / processes
            return ["LIFE-SCALE-010"] if (name, processes) == ("kubechain", 4) else []

        return run

    both = Rounds(
        {"upstream": side("upstream", 60), "kubechain": side("kubechain", 20)},
        FakeLoad(Docker(tmp_path), "c", GATEWAY),
        lambda: settled.append(len(done)),
        tmp_path,
        Progress(),
        clock,
    )
    both.run(2)
    assert done[:4] == [("upstream", 1), ("kubechain", 1), ("upstream", 2), ("kubechain", 2)]
    assert done[6:8] == [("kubechain", 1), ("upstream", 1)]
    assert settled == list(range(12))
    found = ratios.ratios(both.measurements)
    assert found.serial == Ratio(median=3.0, min=3.0, max=3.0, rounds=2)
    assert found.parallel4 is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-kubechain-4", "2-kubechain-4"], "only what failed is kept"
