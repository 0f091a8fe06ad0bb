"""Chains that are begun before their claims."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.core.errors import ExitCode
from kubechain.kube.errors import ApiUnavailable
from kubechain.pytest import ahead
from kubechain.pytest.ahead import Ahead


class Factory:
    """A factory that learns from the API server how many chains are wanted, which is away."""

    def prepare(self) -> None:
        """Fail."""
        raise ApiUnavailable("API server: refused", ExitCode.UNREACHABLE)


def state_of(_config: object) -> Any:
    return SimpleNamespace(factory=Factory())


def no_marker(_name: str) -> None:
    return None


def test_claim_runs_though_the_api_server_is_away_when_the_next_chain_would_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "run_state", state_of)
    item = cast("Any", SimpleNamespace(nodeid="a", fixturenames=(), get_closest_marker=no_marker))
    protocol = Ahead(cast("Any", SimpleNamespace(workerinput={}))).pytest_runtest_protocol(item, None)
    next(protocol)
    with pytest.raises(StopIteration) as ended:
        protocol.send("the claim ran")
    assert ended.value.value == "the claim ran"
