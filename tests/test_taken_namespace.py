"""A namespace of a run that somebody else deletes."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.core.errors import HarnessError
from kubechain.kube.objects import KubeObject
from kubechain.workload.obstruction import taken_away
from tests.fakes import changed, thing


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (changed(thing("Namespace", "ns"), "metadata.deletionTimestamp", "2030-01-01T00:00:00Z"), "ns, at 2030-01-01T00:00:00Z"),
        (None, "ns is gone"),
        (thing("Namespace", "ns"), ""),
        (HarnessError("no right"), ""),
    ],
)
def test_namespace_that_somebody_deletes_is_an_obstacle(answer: KubeObject | HarnessError | None, why: str) -> None:
    def get(*_: str) -> KubeObject | None:
        if isinstance(answer, HarnessError):
            raise answer
        return answer

    assert taken_away(cast("Any", SimpleNamespace(get=get)), "ns") == why
