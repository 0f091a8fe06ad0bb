"""How a run shares its claims out among processes."""

import pytest

from kubechain.pytest.scheduling import STORIES
from tests.test_run import Done, project

HEAD = """
from pathlib import Path
import pytest
from kubechain.claims.claim import Link, claim

def note(name):
    with Path("order").open("a") as file:
        file.write(f"{name} ")
"""
STORY = '''
@pytest.fixture(scope="session")
def {story}():
    note("{story}")

@claim("T-PODS-{number}10", link=Link.PODS, spec="x")
def test_{story}_begins({story}):
    """It MUST begin."""

@claim("T-PODS-{number}20", link=Link.PODS, spec="x")
def test_{story}_goes_on({story}):
    """It MUST go on."""

@claim("T-PODS-{number}30", link=Link.PODS, spec="x")
def test_{story}_ends({story}):
    """It MUST end."""
'''
PLAIN = '''
@claim("T-IMAGE-0{number}0", link=Link.IMAGE, spec="x")
def test_plain_{number}():
    """It MUST pass."""
    note("plain-{number}")
'''


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A run in two processes, of plain claims and, behind them, three of each story."""
    plain = [PLAIN.format(number=number) for number in range(6)]
    told = [STORY.format(story=story, number=number) for number, story in enumerate(STORIES)]
    return project(tmp_path_factory.mktemp("shared"), ("-n", "2"), {}, "".join([HEAD, *plain, *told]))


def workers(shared: Done, begin: str) -> set[str]:
    return {claim["worker"] for claim in shared.run["claims"] if claim["id"].startswith(begin)}


def order(shared: Done) -> list[str]:
    return (shared.out.parent / "order").read_text().split()


def test_every_claim_is_run_and_bears_its_own_id(shared: Done) -> None:
    assert set(shared.outcomes.values()) == {"passed"}, shared.output
    assert len(shared.outcomes) == 6 + 3 * len(STORIES)
    assert not [claim for claim in shared.run["claims"] if "@" in claim["nodeid"]]


@pytest.mark.parametrize("number", range(len(STORIES)))
def test_claims_of_a_story_are_run_by_one_process(shared: Done, number: int) -> None:
    assert len(workers(shared, f"T-PODS-{number}")) == 1


@pytest.mark.parametrize("story", STORIES)
def test_each_story_is_told_once(shared: Done, story: str) -> None:
    assert order(shared).count(story) == 1


def test_stories_that_come_last_are_not_told_first(shared: Done) -> None:
    assert order(shared)[0].startswith("plain")


def test_every_process_has_something_to_do(shared: Done) -> None:
    assert len(workers(shared, "T-")) == 2
