"""An image that lacks a program of the claims: an obstacle if the user has named it, else trouble of the harness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.claims.obstacles import Obstacle
from kubechain.core.errors import Blocked, NoProgram
from kubechain.pytest import gating
from kubechain.pytest.state import ClaimState
from kubechain.workload.gates import Gatekeeper
from tests.engine_objects import run_state
from tests.fakes import healthy
from tests.test_gates import up_to


def giving(value: Any) -> Callable[[object], Any]:
    return lambda _: value


@pytest.mark.parametrize("named", [True, False])
def test_image_of_the_user_that_lacks_a_program_is_an_obstacle(monkeypatch: pytest.MonkeyPatch, *, named: bool) -> None:
    chain = replace(up_to(*healthy())[0], pulled=frozenset({"client"} if named else ()))
    keeper = Gatekeeper()
    state = run_state(gatekeeper=keeper)
    for name, value in {"run_state": state, "claim_state": ClaimState(chain=chain), "chain_of": chain}.items():
        monkeypatch.setattr(gating, name, giving(value))
    hook = cast("Any", gating.pytest_runtest_call)(SimpleNamespace(fixturenames=[], config=None))
    next(hook)
    with pytest.raises(Blocked if named else NoProgram, match="dig: not found"):
        hook.throw(NoProgram("dig: not found"))
    assert keeper.why_shut(Obstacle.IMAGES) == ("dig: not found" if named else None)
