"""The Pods in which runs live: with the end of its Pod, a run has ended."""

from __future__ import annotations

from collections.abc import Mapping

from kubechain.core.run import POD
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused

OVER = ("Succeeded", "Failed")


def has_ended(api: Api, marks: Mapping[str, str]) -> bool:
    """Whether the annotations of what a run made name its Pod, and that Pod has ended.

    It has ended if it does not exist, if another one has its name, or by its phase. Without the right to read it, nothing is
    known, and the expiry counts.
    """
    namespace, _, rest = marks.get(POD, "").partition("/")
    name, _, uid = rest.partition("/")
    if not (namespace and name and uid):
        return False
    try:
        pod = api.get("Pod", namespace, name)
    except ApiRefused:
        return False
    return pod is None or pod.uid != uid or pod.at("status.phase", "") in OVER
