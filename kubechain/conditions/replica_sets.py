"""Conditions on what the ReplicaSets of a Deployment ask for, whether or not their Pods can be made."""

from __future__ import annotations

from collections.abc import Mapping

from kubechain.conditions.condition import Condition, Result, fields
from kubechain.conditions.deployments import revision
from kubechain.conditions.text import some
from kubechain.conditions.timeouts import CONTROLLER
from kubechain.kube.objects import NamespaceState


def ask_for(name: str, wanted: Mapping[int, int]) -> Condition[NamespaceState]:
    """The Deployment owns exactly these ReplicaSets: revision -> spec.replicas."""

    def check(state: NamespaceState) -> Result:
        owner = state.one("Deployment", name)
        owned = state.owned_by(owner, "ReplicaSet") if owner else ()
        actual = {revision(each): each.at("spec.replicas", 0) for each in owned}
        return fields(_by_revision(actual), _by_revision(wanted)).of(f"ReplicaSets of {name} with spec.replicas by revision:")

    asked = some(f"{count} at revision {number}" for number, count in sorted(wanted.items()))
    return Condition(f"ReplicaSets of {name} to ask for {asked}", check, CONTROLLER)


def _by_revision(counts: Mapping[int, int]) -> dict[str, int]:
    return {f"revision {number}": count for number, count in sorted(counts.items())}
