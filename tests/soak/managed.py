"""The API servers of managed services: behind a path of another server, or with a vendor's versions."""

from __future__ import annotations

from typing import Any

from kubechain.kube.objects import Json, KubeObject
from tests.api_proxy import Answers

SUFFIX = "-gke.1"


class Prefixed(Answers):
    """An API server behind a path, as management planes for many clusters serve it."""

    prefix = "/k8s/clusters/c-1"


class Vendor(Answers):
    """An API server and kubelets whose versions have the suffix of a vendor."""

    def answer(self, path: str, body: Any) -> Any:
        """Add the suffix to the version of the server, and to that of each Node in an object, a list or an event of a watch."""
        if path == "/version":
            return {**body, "gitVersion": f"{body['gitVersion']}{SUFFIX}"}
        if path.startswith("/api/v1/nodes"):
            _suffixed(body)
        return body


def _suffixed(body: Any) -> None:
    """Add the suffix to the versions of the kubelets in an answer."""
    found: list[Json] = body.get("items") or [body.get("object") or body]
    for info in (KubeObject(each).at("status.nodeInfo") for each in found):
        if info:
            info["kubeletVersion"] += SUFFIX


ANSWERS: dict[str, Answers] = {"prefixed": Prefixed(), "vendor": Vendor()}
