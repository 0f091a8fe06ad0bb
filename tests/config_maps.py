"""The part of an API that keeps the state of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from kubechain.core.run import UPGRADE_LABEL
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import Json, KubeObject
from kubechain.pytest import detached
from kubechain.upgrade.kept_state import KeptState
from tests.fakes import thing


class ConfigMaps:
    """An API with ConfigMaps."""

    def __init__(self) -> None:
        self.found: dict[str, Json] = {}
        self.writes = 0

    def get(self, _kind: str, _namespace: str, name: str) -> KubeObject | None:
        body = self.found.get(name)
        return KubeObject({"metadata": {"name": name}, **body}) if body else None

    def patch(self, _kind: str, _namespace: str, name: str, body: Json) -> None:
        self.writes += 1
        if name not in self.found:
            raise ApiRefused(404, "NotFound", "no such ConfigMap")
        self.found[name] |= body

    def create(self, body: Json, _namespace: str) -> None:
        self.found[body["metadata"]["name"]] = body


class Spaces(ConfigMaps):
    """An API with the namespaces of witnesses."""

    def __init__(self, *runs: str) -> None:
        super().__init__()
        self.runs = list(runs)

    def get(self, kind: str, namespace: str, name: str) -> KubeObject | None:
        """Return a ConfigMap, or the namespace of the witnesses of a run."""
        if kind != "Namespace":
            return super().get(kind, namespace, name)
        run = name.rpartition("-")[2]
        return thing("Namespace", name, labels={UPGRADE_LABEL: run}) if run in self.runs else None

    def delete(self, _kind: str, _namespace: str, name: str, *_: Any, **__: Any) -> None:
        self.runs.remove(name.rpartition("-")[2])

    def make(self, state: KeptState, run: str, error: Any) -> None:
        """Fail to make witnesses, after their namespace."""
        with detached.room(state, cast("Any", self), run):
            self.runs += [run]
            raise error


def kept(api: ConfigMaps, folder: Path) -> KeptState:
    return KeptState(cast("Any", api), "ns", "state", folder)
