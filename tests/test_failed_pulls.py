"""An image that could not be pulled once may come all the same; the kubelet tries again."""

import pytest

from kubechain.conditions import pods as on
from kubechain.kube.objects import KubeObject
from kubechain.workload.manifests import LABELS
from tests.fakes import pod, state, thing
from tests.test_conditions_pods import waiting

FIRST, SECOND = pod(0), pod(1)


def failed_pull(number: int, count: int | None, of: KubeObject = FIRST, message: str = "Error: ErrImagePull") -> KubeObject:
    about = {"kind": "Pod", "name": of.name, "uid": of.uid, "fieldPath": "spec.containers{nginx}"}
    return thing("Event", f"e{number}", reason="Failed", message=message, count=count, involvedObject=about)


@pytest.mark.parametrize(
    ("events", "hopeless"),
    [
        ([failed_pull(0, 1)], False),
        ([failed_pull(0, 2)], True),
        ([failed_pull(0, 1), failed_pull(1, None)], True),
        ([failed_pull(0, 1), failed_pull(1, 1, SECOND)], False),
        ([failed_pull(0, 1), failed_pull(1, 5, message="Error: ImagePullBackOff")], False),
    ],
)
def test_image_that_could_not_be_pulled_twice_is_hopeless(events: list[KubeObject], hopeless: bool) -> None:  # noqa: FBT001
    for condition in (on.exactly_ready(LABELS, 2), on.ready(FIRST.name)):
        result = condition(state(waiting("ImagePullBackOff")(FIRST), SECOND, *events))
        assert (result.met, result.hopeless) == (False, hopeless)
        assert "ImagePullBackOff" in result.got
