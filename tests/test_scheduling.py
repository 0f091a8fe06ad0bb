"""The distribution of claims over the processes of a run."""

import pytest

from tests.test_run import Done, project

pytestmark = pytest.mark.whole_runs
SCENARIOS = ("exclusive", "failing", "rolling", "no_deployment", "no_service")
HEAD = """
from pathlib import Path
import pytest
from kubechain.claims.claim import claim
from kubechain.pytest.scenario import scenario

def note(name):
    with Path("order").open("a") as file:
        file.write(f"{name} ")
"""
SCENARIO = '''
@scenario
def {scenario}():
    note("{scenario}")

@claim("T-PODS-{number}10", spec="x")
def test_{scenario}_begins({scenario}):
    """It MUST begin."""

@claim("T-PODS-{number}20", spec="x")
def test_{scenario}_goes_on({scenario}):
    """It MUST go on."""

@claim("T-PODS-{number}30", spec="x")
def test_{scenario}_ends({scenario}):
    """It MUST end."""
'''
PLAIN = '''
@claim("T-IMAGE-0{number}0", spec="x")
def test_plain_{number}():
    """It MUST pass."""
    note("plain-{number}")
'''


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A run in two processes: six plain claims, then three claims of each scenario."""
    plain = [PLAIN.format(number=number) for number in range(6)]
    scenarios = [SCENARIO.format(scenario=name, number=number) for number, name in enumerate(SCENARIOS)]
    return project(tmp_path_factory.mktemp("shared"), ("-n", "2"), {}, "".join([HEAD, *plain, *scenarios]))


def workers(shared: Done, begin: str) -> set[str]:
    return {claim["worker"] for claim in shared.run["claims"] if claim["id"].startswith(begin)}


def order(shared: Done) -> list[str]:
    return (shared.out.parent / "order").read_text().split()


def test_every_claim_runs_under_its_own_id(shared: Done) -> None:
    assert set(shared.outcomes.values()) == {"passed"}, shared.output
    assert len(shared.outcomes) == 6 + 3 * len(SCENARIOS)
    assert not [claim for claim in shared.run["claims"] if "@" in claim["nodeid"]]


@pytest.mark.parametrize("number", range(len(SCENARIOS)))
def test_one_process_runs_all_claims_of_a_scenario(shared: Done, number: int) -> None:
    assert len(workers(shared, f"T-PODS-{number}")) == 1


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_scenario_runs_once(shared: Done, name: str) -> None:
    assert order(shared).count(name) == 1


def test_plain_claim_runs_before_scenarios(shared: Done) -> None:
    assert order(shared)[0].startswith("plain")


def test_every_process_runs_claims(shared: Done) -> None:
    assert len(workers(shared, "T-")) == 2
