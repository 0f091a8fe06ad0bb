"""Whole runs whose progress is looked at: in a terminal, and in a pipe as a CI system has it."""

import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.hostile.cases import full
from tests.terminal import HIDES_CURSOR, MOVES_UP, Shown, run
from tests.test_run import Done, prepare, project

# One process makes the runs, once.
pytestmark = pytest.mark.whole_runs
CLAIMS = '''
import os
import pytest
from kubechain.claims.claim import claim
from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import Unmet
from kubechain.observe.wait import Polled

@claim("T-DEPLOYMENT-010", spec="x")
def test_passes():
    """It MUST pass."""

@claim("T-PODS-010", spec="x")
def test_waits(eventually, clock):
    """It MUST wait."""
    began = clock.now()
    source = Polled("x", lambda: clock.now() - began, clock)
    two = Condition("two seconds", lambda n: expect(n > 2, "less, token=s3cr3ts3cr3t"))
    eventually(source, two, within=Timeout(50, "a clock"))

@claim("T-SERVICE-010", spec="x")
def test_unmet():
    """It MUST be met."""
    print("not on the terminal")
    raise Unmet("expected a, got b")

@claim("T-DNS-010", spec="x")
def test_skipped():
    """It MUST apply."""
    pytest.skip("needs 2 nodes")

@claim("T-DNS-020", spec="x")
def test_skipped_too():
    """It MUST apply."""
    pytest.skip("needs 2 nodes")
'''
CRASH = '''
@claim("T-DNS-030", spec="x")
def test_crashes():
    """It MUST survive."""
    os._exit(1)
'''
IMPATIENT = """
from kubechain.pytest import live
assert live.SILENT_SECONDS > live.LOOK_SECONDS
live.SILENT_SECONDS, live.LOOK_SECONDS = 0.4, 0.1
"""
WAITS = "T-PODS-010 waits for two seconds"
COLOURS = {"TERM": "xterm-256color"}
PLAIN: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "one": ((), {}),
    "two": (("-n", "2"), {"FORCE_COLOR": "1", **COLOURS}),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    with ThreadPoolExecutor(2) as pool:
        begun = {
            name: pool.submit(project, tmp_path_factory.mktemp("x"), *told, CLAIMS, IMPATIENT) for name, told in PLAIN.items()
        }
        return {name: done.result() for name, done in begun.items()}


def shown(
    folder: Path,
    *words: str,
    claims: str = CLAIMS,
    send: signal.Signals | None = None,
    columns: int = 80,
    told: dict[str, str] | None = None,
) -> Shown:
    command, environment = prepare(folder, {**COLOURS, **(told or {})}, claims)
    return run([*command, *words], folder, environment, size=(columns, 40), when=WAITS[: columns - 10], send=send)


@pytest.mark.parametrize("name", PLAIN)
def test_log_has_a_line_for_each_link_and_for_what_a_silent_run_waits_for(plain: dict[str, Done], name: str) -> None:
    output = plain[name].output
    lines = re.sub(r"\x1b\[[0-9;]*m", "", output).splitlines()
    assert MOVES_UP not in output
    assert "s3cr3t" not in output
    for expected in ("DEPLOYMENT: 1 passed", "PODS: 1 passed", "SERVICE: 1 failed", "DNS: 2 skipped"):
        assert [line for line in lines if line.startswith(f"  {expected} (")], output
    waits = [
        line for line in lines if line.startswith("  .. T-PODS-010: expected two seconds, got less, token=[redacted] (waited ")
    ]
    assert 1 <= len(waits) <= 6, output
    assert "of 50 s so far)" in waits[0]
    assert not [line for line in lines if line.startswith("suites/test_x.py")]


def test_last_lines_are_the_slowest_hand_overs_the_skipped_claims_the_report_and_the_verdict(plain: dict[str, Done]) -> None:
    out, lines = plain["one"].out, plain["one"].output.splitlines()
    assert lines[-3:-1] == ["skipped: 2 claims: needs 2 nodes", f"report: {out / 'chain.html'}"]
    assert lines[-1].startswith("chain broken at SERVICE: expected a, got b")


def test_terminal_shows_links_and_the_wait_with_its_state_and_time(tmp_path: Path) -> None:
    found = shown(tmp_path)
    assert found.code == 1, found.plain
    assert MOVES_UP in found.text
    assert HIDES_CURSOR not in found.text
    assert WAITS in found.plain
    assert re.search(r"4[89] s of 50 s left; now: less, token=\[redacted\]", found.plain), found.plain
    assert "not on the terminal" not in found.plain.partition("FAILURES")[0]
    last = found.plain.partition("FAILURES")[0].rpartition("claims after")[2]
    for row in (r"✓ DEPLOYMENT +━+ +1/1 *\n", r"✗ SERVICE +━+ +1/1  1 failed *\n", r"- DNS +━+ +2/2  2 skipped *\n"):
        assert re.search(row, last), last
    assert "waits for" not in last
    assert found.plain.rstrip().splitlines()[-1].startswith("chain broken at SERVICE") or "needs 2 nodes" in found.plain


def test_terminal_shows_the_waits_of_all_processes_and_what_pytest_says_of_a_lost_one(tmp_path: Path) -> None:
    found = shown(tmp_path, "-n", "2", claims=CLAIMS + CRASH)
    assert WAITS in found.plain
    assert re.search(r"\[gw\d\] node down: Not properly terminated *\n", found.plain), found.plain
    assert not (tmp_path / "out" / "present").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, full(signal.SIGINT), signal.SIGKILL])
def test_run_that_is_ended_leaves_the_terminal_as_it_was(tmp_path: Path, number: signal.Signals) -> None:
    found = shown(tmp_path, send=number, told={"NO_COLOR": "1"}, columns=40)
    assert HIDES_CURSOR not in found.text
    assert not re.search(r"\x1b\[3[0-9]", found.text)
    if number == signal.SIGKILL:
        assert found.code == -number
    else:
        assert "no verdict: interrupted after 1 of 5" in found.plain.replace("\n", ""), found.plain


@pytest.mark.parametrize(("words", "told"), [(("-v",), {}), full((), {"TERM": "dumb"})])
def test_user_and_terminal_may_want_no_picture(tmp_path: Path, words: tuple[str, ...], told: dict[str, str]) -> None:
    found = shown(tmp_path, *words, told=told)
    assert MOVES_UP not in found.text.partition("FAILURES")[0]
    assert ("::test_passes PASSED" in found.plain) == bool(words)
    assert ("  DEPLOYMENT: 1 passed (" in found.plain) != bool(words)
