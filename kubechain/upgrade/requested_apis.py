"""The deprecated APIs that clients have requested, by the metrics of every API server of a cluster.

Each API server counts what it was asked itself (https://kubernetes.io/docs/reference/using-api/deprecation-policy/).
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import product

from kubechain.conditions.endpoints import SERVICE_NAME, ready_endpoints
from kubechain.core import redact
from kubechain.core.errors import HarnessError
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused
from kubechain.kube.families import host_of
from kubechain.kube.objects import Json

LABEL = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*")')
AT_ONCE = 10


@dataclass(frozen=True)
class RequestedApis:
    """The deprecated APIs in use: "resource.version.group" -> release that removes each.

    `deprecated` is None if /metrics may not be read; `unasked` is address of an API server that was not asked -> why.
    """

    deprecated: dict[str, str] | None
    unasked: dict[str, str] = field(default_factory=dict[str, str])


def read(api: Api) -> RequestedApis:
    """Ask the API server of a context, and each of several that are endpoints of the Service default/kubernetes.

    Raises:
        ApiUnavailable: the API server of the context does not answer.

    """
    try:
        deprecated = _deprecated(api)
    except ApiRefused:
        return RequestedApis(None)
    listed = addresses(api)
    if len(listed) < 2:
        return RequestedApis(deprecated)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(partial(_at, api), listed))
    unasked: dict[str, str] = {}
    for address, answer in zip(listed, answers, strict=True):
        if isinstance(answer, str):
            unasked[address] = answer
        else:
            deprecated |= answer
    return RequestedApis(deprecated, unasked)


def addresses(api: Api) -> Sequence[str]:
    """Return the addresses of the API servers, such as "10.0.0.2:6443", by the endpoints of the Service default/kubernetes."""
    found: set[str] = set()
    for each in api.list("EndpointSlice", "default", f"{SERVICE_NAME}=kubernetes").items:
        ports: list[Json] = each.at("ports") or []
        for endpoint, port in product(ready_endpoints(each), ports):
            found |= {f"{host_of(ip)}:{port['port']}" for ip in endpoint["addresses"]}
    return sorted(found)


def _at(api: Api, address: str) -> dict[str, str] | str:
    """Return the deprecated APIs that the API server at an address was asked for, or why it cannot say."""
    try:
        with contextlib.closing(api.at(address)) as other:
            return _deprecated(other)
    except HarnessError as error:
        return redact.text(str(error))


def _deprecated(api: Api) -> dict[str, str]:
    apis: dict[str, str] = {}
    for line in api.call("GET", "/metrics", accept="text/plain").splitlines():
        if line.startswith("apiserver_requested_deprecated_apis{"):
            labels: dict[str, str] = {name: json.loads(value) for name, value in LABEL.findall(line)}
            name = ".".join(filter(None, (labels.get(part) for part in ("resource", "version", "group"))))
            apis[name] = labels.get("removed_release", "")
    return apis
