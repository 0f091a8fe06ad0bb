"""Which IP families a cluster gives Services: asked by a dry run, which stores nothing and needs no further right."""

from __future__ import annotations

from kubechain.kube.client import Api
from kubechain.kube.creation import CHANGE_SECONDS, persistently
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import Json

SERVICE: Json = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "kubechain-families"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
}
# Where a policy refuses the first, the second names the family of a Service that asks for none.
ASKING: tuple[Json, ...] = ({"ipFamilyPolicy": "PreferDualStack"}, {})


class Families:
    """The families of Services, asked once; without an API they stay unknown."""

    def __init__(self, api: Api | None = None, known: tuple[str, ...] = ()) -> None:
        self._api, self.known = api, known

    def ask(self, namespace: str) -> tuple[str, ...]:
        """Return the families, first that of a Service that asks for none; () if the cluster refuses to say.

        Raises:
            ApiUnavailable: the API server did not answer, or with 5xx, at every attempt.

        """
        if self._api and not self.known:
            self.known = next((families for fields in ASKING if (families := _asked(self._api, namespace, fields))), ())
        return self.known


def _asked(api: Api, namespace: str, fields: Json) -> tuple[str, ...]:
    """Return the families of a Service with these fields in its spec, () if it is refused."""
    body = {**SERVICE, "spec": {**SERVICE["spec"], **fields}}
    try:
        stored = persistently(lambda: api.create(body, namespace, dry_run=True), CHANGE_SECONDS)
    except ApiRefused:
        return ()
    return tuple(stored.at("spec.ipFamilies") or ())
