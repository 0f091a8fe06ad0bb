"""The token of a Pod's ServiceAccount (https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubechain.conditions.condition import Condition, Result, expect
from kubechain.conditions.pods import every_pod
from kubechain.conditions.text import text
from kubechain.kube.objects import Json, KubeObject, NamespaceState


def with_projected_token(labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """Each Pod has a projected volume with an expiring token, the CA of the API server and the namespace."""
    what = "a projected token that expires within a day, ConfigMap kube-root-ca.crt and metadata.namespace"

    def check(pod: KubeObject) -> Result:
        volumes: list[Json] = [volume["projected"] for volume in pod.at("spec.volumes", []) if "projected" in volume]
        found = [Projected.of(volume.get("sources") or []) for volume in volumes]
        # Other volumes, and what else is in this one, belong to what admission has added.
        every = Projected(*(tuple(each for one in found for each in getattr(one, name)) for name in ("seconds", "maps", "paths")))
        return expect(any(volume.complete for volume in found), str(every), what)

    return every_pod(labels, f"with {what}", check)


@dataclass(frozen=True)
class Projected:
    """What a projected volume has: its tokens by expirationSeconds, its ConfigMaps, and its fields of the Pod."""

    seconds: tuple[int, ...]
    maps: tuple[str, ...]
    paths: tuple[str, ...]

    @staticmethod
    def of(sources: list[Json]) -> Projected:
        """Return what the sources of a projected volume have."""
        tokens: list[Json] = [source["serviceAccountToken"] for source in sources if "serviceAccountToken" in source]
        items: list[Json] = [item for source in sources for item in source.get("downwardAPI", {}).get("items", [])]
        return Projected(
            tuple(int(token.get("expirationSeconds") or 0) for token in tokens),
            tuple(source["configMap"]["name"] for source in sources if "configMap" in source),
            tuple(item["fieldRef"]["fieldPath"] for item in items if "fieldRef" in item),
        )

    @property
    def complete(self) -> bool:
        """Whether the API server can be asked with it."""
        expires = any(0 < each <= 86400 for each in self.seconds)
        return expires and "kube-root-ca.crt" in self.maps and "metadata.namespace" in self.paths

    def __str__(self) -> str:
        """Return it for a message."""
        tokens = f"{len(self.seconds)} projected tokens (expirationSeconds {text(self.seconds)})"
        return f"{tokens}, ConfigMaps {text(self.maps)}, fields {text(self.paths)}"
