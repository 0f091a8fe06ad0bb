"""Only one etcd counts the changes of several kinds in one order."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.core.errors import NotApplicable
from kubechain.kube.listing import Listing
from kubechain.workload.chain import Chain
from kubechain.workload.version_order import require_one_order


def stored(*versions: int) -> Chain:
    """Return a chain on an API server whose next lists have these versions."""
    left = [str(version) for version in versions]

    def listing(*_: str) -> Listing:
        return Listing([], left.pop(0))

    return cast("Any", SimpleNamespace(api=SimpleNamespace(list=listing), namespace="ns"))


@pytest.mark.parametrize("versions", [(7, 7, 7, 7), (7, 9, 9, 12)])
def test_lists_of_one_etcd_have_their_versions_in_order(versions: tuple[int, ...]) -> None:
    require_one_order(stored(*versions), "Pod", "Deployment")


@pytest.mark.parametrize("versions", [(900, 7, 901, 7), (7, 900, 8, 901)])
def test_versions_of_two_etcds_are_not_compared(versions: tuple[int, ...]) -> None:
    with pytest.raises(NotApplicable, match=r"one order of the changes of Pod, Deployment: .* have the versions \[\d+, \d+"):
        require_one_order(stored(*versions), "Pod", "Deployment")
