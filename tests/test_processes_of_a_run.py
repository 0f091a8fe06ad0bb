"""The number of processes of a run that does not say it."""

import os

import pytest

from kubechain.cli.commands import RunCommand
from kubechain.cli.parser import parse
from kubechain.cli.run import processes_of


@pytest.fixture(autouse=True)
def without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("KUBECHAIN_")]:
        monkeypatch.delenv(name)


def number(*words: str) -> int:
    """Return the number of processes of `kubechain run` with these words."""
    command = parse(["run", *words])
    assert isinstance(command, RunCommand)
    return processes_of(command)


def has(processors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the machine so many processors."""

    def of_process(_pid: int) -> set[int]:
        return set(range(processors))

    monkeypatch.setattr(os, "sched_getaffinity", of_process)


@pytest.mark.parametrize(("processors", "expected"), [(1, 1), (2, 2), (64, 4)])
def test_all_claims_on_a_kind_cluster_take_what_the_machine_has(
    monkeypatch: pytest.MonkeyPatch, processors: int, expected: int
) -> None:
    has(processors, monkeypatch)
    assert number() == number("--level", "full") == expected
    assert number("-n", "3") == 3


@pytest.mark.parametrize("words", [("--context", "prod"), ("-k", "dns"), ("--only", "CHAIN-DNS-010")])
def test_another_cluster_and_a_few_claims_take_one(monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    has(8, monkeypatch)
    assert number(*words) == 1
