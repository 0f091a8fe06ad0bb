"""kubechain watch: rounds on a cluster that changes, their figures and the health of the watch."""

from __future__ import annotations

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from kubechain.claims.claim import Link
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode
from kubechain.results import kept_rounds
from kubechain.results.rounds import Rounds
from reports.deploy import monitoring
from reports.watch_metrics import WatchRegistry
from tests import finished_runs, loopback
from tests.fakes import record
from tests.finished_runs import passed
from tests.hostile.access import CONTEXT, plain
from tests.hostile.cluster import Cluster, cluster
from tests.in_pods import refused

pytestmark = pytest.mark.whole_runs

BROKEN = record(Link.DNS, "failed", "expected a, got b", id="CHAIN-DNS-010")
EARLIER = record(Link.PODS, "failed", "expected a, got b", id="CHAIN-PODS-010")
UNKNOWN = record(Link.DNS, "inconclusive", "API server: 503", id="CHAIN-DNS-010")
ONE = "CHAIN-DEPLOYMENT-010"


def figures(rounds: Rounds, interval: float = 60.0) -> dict[tuple[str, str], float]:
    """Return (name, value of its label) -> figure."""
    return read(generate_latest(WatchRegistry(rounds, interval, 3 * interval)).decode())


def read(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_link_is_broken_for_as_many_rounds_as_the_chain_breaks_there_in_a_row() -> None:
    rounds = Rounds(0.0)
    seen: list[tuple[float, float, float]] = []
    now = figures(rounds)
    for number, claim in enumerate([BROKEN, BROKEN, UNKNOWN, BROKEN, EARLIER, passed(Link.DNS)]):
        rounds.add(finished_runs.run(number, claim), 100.0 + number)
        now = figures(rounds)
        name = "kubechain_watch_link_broken_rounds"
        seen.append((now[name, "DNS"], now[name, "PODS"], now["kubechain_watch_rounds_without_verdict", ""]))
    # A round without a verdict neither breaks nor heals a link.
    assert seen == [(1, 0, 0), (2, 0, 0), (2, 0, 1), (3, 0, 0), (0, 1, 0), (0, 0, 0)]
    assert now["kubechain_watch_last_verdict_timestamp_seconds", ""] == 105.0
    assert [now["kubechain_watch_rounds_total", state] for state in ("holds", "broken", "undecided")] == [1, 4, 1]


def test_round_after_which_a_waiver_is_to_be_removed_has_a_verdict() -> None:
    rounds = Rounds(0.0)
    rounds.add(finished_runs.run(1, BROKEN), 1.0)
    stale = finished_runs.run(2, passed(Link.DNS)).model_copy(update={"holds": False, "exit_code": ExitCode.WAIVERS})
    assert rounds.add(stale, 2.0) == "holds"
    assert (rounds.broken[Link.DNS], rounds.without_verdict) == (0, 0)


def test_round_without_a_result_is_one_without_a_verdict() -> None:
    rounds = Rounds(0.0)
    assert [rounds.add(None, 1.0), rounds.add(None, 2.0)] == ["undecided", "undecided"]
    now = figures(rounds)
    assert now["kubechain_watch_rounds_without_verdict", ""] == 2
    assert (
        now["kubechain_watch_last_round_timestamp_seconds", ""],
        now["kubechain_watch_last_verdict_timestamp_seconds", ""],
    ) == (2, 0)
    assert not any(name == "kubechain_chain_holds" for name, _ in now)


NUMBER = r"(\d+)"
AT_LEAST = re.compile(rf"(\w+) >= {NUMBER}")
AGE = re.compile(r"time\(\) - (\w+) > (\w+)")
ABSENT = re.compile(r"absent\((\w+)\)")


def firing(now: dict[tuple[str, str], float], clock: float) -> set[tuple[str, str]]:
    """Return (alert, label) of the rules that fire on figures at a time; a rule of another form is an error."""
    found: set[tuple[str, str]] = set()
    for rule in monitoring.GROUPS[0]["rules"]:
        name, expression = rule["alert"], rule["expr"]
        if form := AT_LEAST.fullmatch(expression):
            found |= {(name, label) for (metric, label), value in now.items() if metric == form[1] and value >= int(form[2])}
        elif form := AGE.fullmatch(expression):
            found |= {(name, "")} if clock - now[form[1], ""] > now[form[2], ""] else set()
        else:
            form = ABSENT.fullmatch(expression)
            assert form, expression
            found |= set() if (form[1], "") in now else {(name, "")}
    return found


def test_alerts_fire_in_the_second_round_and_are_resolved() -> None:
    rounds = Rounds(100.0)
    seen = [firing(figures(rounds), 100.0)]
    frozen = [UNKNOWN, UNKNOWN, UNKNOWN]
    for number, claim in enumerate([passed(Link.DNS), BROKEN, BROKEN, passed(Link.DNS), *frozen, passed(Link.DNS)]):
        rounds.add(finished_runs.run(number, claim), 100.0 + number)
        seen.append(firing(figures(rounds), 100.0 + number))
    broken, unknown = {("KubechainLinkBroken", "DNS")}, {("KubechainNoVerdict", "")}
    assert seen == [set(), set(), set(), broken, set(), set(), set(), unknown, set()]
    assert firing(figures(rounds), 1000.0) == {("KubechainStale", "")}


def test_alert_and_dashboard_use_figures_that_there_are() -> None:
    rounds = Rounds(0.0)
    registry = WatchRegistry(rounds, 60.0, 180.0)
    run = finished_runs.run(1, BROKEN)
    rounds.add(run, 1.0)
    there = {name for name, _ in read(generate_latest(registry).decode())}
    there |= {f"kubechain_watch_hand_over_seconds_{part}" for part in ("bucket", "sum", "count")}
    expressions = [rule["expr"] for rule in monitoring.GROUPS[0]["rules"]] + [panel[1] for panel in monitoring.PANELS]
    assert {name for each in expressions for name in re.findall(r"kubechain_\w+", each)} - there == set()


@contextmanager
def watching(made: Cluster, folder: Path, *words: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """Watch a cluster; yield the process and the address of its server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KUBECHAIN_")}
    kept |= {"KUBECHAIN_OUT": str(folder / "out"), "KUBECHAIN_CACHE": str(folder / "cache")}
    argv = [sys.executable, "-m", "kubechain", "watch", "--context", CONTEXT, "--kubeconfig", str(made.kubeconfig), "--port", "0"]
    argv += ["--only", ONE, "--patience", "0.1", *words]
    with subprocess.Popen(argv, cwd=ROOT, env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        found = re.search(r"http://[^/]*", process.stdout.readline())
        assert found
        try:
            yield process, found[0]
        finally:
            process.kill()


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  # loopback
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


def hang_up(url: str) -> None:
    """Ask for the figures and break the connection at once, as Prometheus does after its scrape timeout."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        # Closed with unsent data thrown away: the other end gets a reset.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_rounds_follow_a_cluster_that_breaks_freezes_and_heals(tmp_path: Path) -> None:
    with cluster(tmp_path, plain()) as made, watching(made, tmp_path, "--every", "1s") as (process, url):
        assert process.stdout
        states: list[str] = []
        expected = (lambda: None, lambda: made.off.add("Deployment"), made.stop, lambda: (made.start(), made.off.clear()))
        for change, state in zip(expected, ("holds", "broken", "undecided", "holds"), strict=True):
            change()
            # The round under way may have begun before the change.
            line = ""
            for _ in range(3):
                line = process.stdout.readline()
                if f" {state}: " in line:
                    break
            states.append(line.split()[1].rstrip(":"))
        now = read(get(f"{url}/metrics")[1])
        assert (get(f"{url}/healthz")[0], get(f"{url}/other")[0]) == (200, 404)
        for _ in range(20):
            hang_up(url)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == ExitCode.INTERRUPTED
        assert "Traceback" not in process.stdout.read()
        left = [each for each in made.left() if "watches" not in each]
    assert states == ["holds", "broken", "undecided", "holds"]
    assert now["kubechain_watch_rounds_total", "broken"] >= 1
    assert now["kubechain_watch_link_broken_rounds", "DEPLOYMENT"] == 0
    assert now["kubechain_chain_holds", ""] == 1
    assert left == []


def test_watch_that_is_begun_again_goes_on_counting(tmp_path: Path) -> None:
    broken = cluster(tmp_path, plain(), lambda made: made.off.add("Deployment"))
    with broken as made:
        with watching(made, tmp_path, "--rounds", "1") as (process, _url):
            assert process.wait(120) == ExitCode.CHAIN_BROKEN
        with watching(made, tmp_path) as (process, url):
            now = read(get(f"{url}/metrics")[1])
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    assert now["kubechain_watch_link_broken_rounds", "DEPLOYMENT"] == 1


def test_watch_that_is_killed_in_each_round_has_no_verdict(tmp_path: Path) -> None:
    file, counts = tmp_path / "rounds.json", list[int]()
    for number in range(4):
        rounds = kept_rounds.read(file, "c", 100.0 * number, 300.0)
        counts.append(rounds.without_verdict)
        kept_rounds.write(rounds, file, "c", 100.0 * number, begun=True)
    assert counts == [0, 1, 2, 3]
    assert [kept_rounds.read(file, *where).without_verdict for where in (("c", 601.0, 300.0), ("other", 301.0, 300.0))] == [0, 0]
    rounds = Rounds(300.0)
    rounds.add(finished_runs.run(1, BROKEN), 350.0)
    kept_rounds.write(rounds, file, "c", 350.0, begun=False)
    rounds = kept_rounds.read(file, "c", 400.0, 300.0)
    assert (rounds.broken[Link.DNS], rounds.without_verdict, rounds.decided, rounds.ended) == (1, 0, 350.0, 400.0)
    file.write_text("torn")
    assert kept_rounds.read(file, "c", 400.0, 300.0).decided == 0.0


def spaces(made: Cluster) -> list[str]:
    return [each for each in made.left() if "Namespace" in each]


def test_watch_ends_after_the_run_of_its_round_has_removed_what_it_made(tmp_path: Path) -> None:
    # The first process of a container takes all others with it.
    # Without its controller the claim waits: a chain that holds is gone again within the pause of the loop.
    waits = cluster(tmp_path, plain(), lambda made: made.off.add("Deployment"))
    with waits as made, watching(made, tmp_path, "--patience", "1") as (process, _url):
        for _ in range(600):
            if spaces(made):
                break
            made.api.closed.wait(0.1)
        assert spaces(made)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == ExitCode.INTERRUPTED
        left = spaces(made)
    assert left == []


@pytest.mark.hostile
def test_rounds_end_with_the_exit_code_of_the_last(tmp_path: Path) -> None:
    broken = cluster(tmp_path, plain(), lambda made: made.off.add("Deployment"))
    with broken as made, watching(made, tmp_path, "--rounds", "1") as (process, _url):
        assert process.wait(120) == ExitCode.CHAIN_BROKEN


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "watch: --context is missing"),
        (("--every", "soon", "--context", "a"), "--every=soon: expected a duration"),
        (("--context", "prod"), "--context=prod: not in "),
        (("--context", "test", "--waivers", "none.yaml"), "--waivers=none.yaml: cannot be read"),
        (("--context", "test", "--gate", "none.yaml"), "--gate=none.yaml: cannot be read"),
        (("--context", "test", "--tolerate", "="), "--tolerate==: expected KEY"),
    ],
)
def test_bad_input_is_one_line_before_the_first_round(tmp_path: Path, words: tuple[str, ...], line: str) -> None:
    kubeconfig = str(loopback.kubeconfig(tmp_path, "http://127.0.0.1:1"))
    assert line in refused("watch", "--out", str(tmp_path / "out"), "--kubeconfig", kubeconfig, *words)
    assert not (tmp_path / "out").exists()
