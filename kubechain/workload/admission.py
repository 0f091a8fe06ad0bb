"""Whether what a claim rests on is there: fields that admission changed, and who may have changed them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from kubechain.claims.premises import Premise
from kubechain.claims.rights import CHANGERS
from kubechain.cluster.access import Access
from kubechain.conditions.admission import Change, beyond, changes, described, told_by
from kubechain.conditions.text import some
from kubechain.core.errors import HarnessError, NotApplicable
from kubechain.kube.client import Api
from kubechain.kube.objects import Json, KubeObject
from kubechain.kube.paths import PLURALS
from kubechain.workload import manifests

# Kind of an object -> where it has the rules by which it applies to others.
RULES = {"MutatingAdmissionPolicy": "spec.matchConstraints.resourceRules", "MutatingWebhookConfiguration": "webhooks"}


@dataclass
class Admission:
    """Who may change objects before they are stored.

    On a cluster of this project nobody does but what its policies and webhooks name; on another one, admission plugins of its
    API server may change objects as well, of which nothing can be read.
    """

    api: Api
    access: Access
    owned: bool
    _known: dict[str, list[str] | None] = field(default_factory=dict[str, list[str] | None])

    def changers(self, kind: str) -> list[str] | None:
        """Return the policies and webhooks that may change objects of a kind; None if they cannot be read."""
        if kind not in self._known:
            self._known[kind] = self._read(kind)
        return self._known[kind]

    def _read(self, kind: str) -> list[str] | None:
        if self.access.lacking(CHANGERS.requirement.rights):
            return None
        found: list[str] = []
        for by, rules in RULES.items():
            try:
                found += [f"{by} {each.name}" for each in self.api.list(by).items if _meant(each, rules, PLURALS[kind][1])]
            except HarnessError:
                if by == "MutatingWebhookConfiguration":
                    return None
                # Kubernetes before 1.36 has no such policies.
        return found

    def require_unchanged(self, found: Iterable[tuple[Change, KubeObject]]) -> None:
        """Raise NotApplicable for changes of objects, unless they cannot have happened at admission."""
        pairs = list(found)
        if not pairs:
            return
        told = next((by for change, each in pairs if (by := told_by(each, change.path))), "")
        # A Scale is that of a Deployment.
        found_by = self.changers({"Scale": "Deployment"}.get(pairs[0][1].kind, pairs[0][1].kind))
        known = found_by or []
        if not told and self.owned and found_by == []:
            return  # Whoever has changed it, it was not admission: the claim decides.
        raise NotApplicable(described((change for change, _ in pairs), told or (some(known, " or ") if known else "")))

    def require_kept(self, manifest: Json, stored: KubeObject) -> KubeObject:
        """Return an object that was created, and has all that its manifest states beyond the usual one of its kind.

        Both are compared in the shape of the run, in which `Api.create` sends them: what that adds or replaces, no claim has set.

        Raises:
            NotApplicable: admission has changed some of that.

        """
        sent, usual = map(self.api.shape.apply, (manifest, usual_of(manifest)))
        meant = beyond(sent, usual)
        self.require_unchanged((change, stored) for change in changes(sent, stored) if change.path in meant)
        return stored

    def require_patched(self, patch: Json, stored: KubeObject) -> KubeObject:
        """Return an object that has every value of the merge patch after which it was stored.

        Raises:
            NotApplicable: admission has changed some of that.

        """
        self.require_unchanged((change, stored) for change in changes(patch, stored))
        return stored


def usual_of(sent: Json) -> Json:
    """Return the manifest that all claims share of the kind of one that a claim makes; for other kinds that manifest itself."""
    spec, metadata = sent.get("spec", {}), sent.get("metadata", {})
    if sent["kind"] == "Deployment":
        (container,) = spec["template"]["spec"]["containers"]
        usual = manifests.deployment(container["image"], name=metadata["name"])
        return usual if container["name"] == "nginx" else {**sent, "spec": {**spec, "replicas": None}}
    if sent["kind"] == "Pod":
        (container,) = spec["containers"]
        make = manifests.web_pod if container["name"] == "nginx" else manifests.client_pod
        # The name and the labels of each are its own.
        return {**make(metadata["name"], container["image"]), "metadata": metadata}
    # Its name and labels are those of every Service.
    return {"kind": sent["kind"], "metadata": metadata} if sent["kind"] == "Service" else sent


def gone(premises: Iterable[Premise], objects: dict[str, tuple[KubeObject, ...]]) -> list[tuple[Change, KubeObject]]:
    """Return the premises that do not hold, each with an object; `objects` are role -> objects of the chain."""
    return [
        (Change(f"{each.kind} {each.name}", premise.field, premise.value, premise.there(each)), each)
        for premise in premises
        for each in [other for other in objects.get(premise.role, ()) if not premise.holds(other)][:1]
    ]


def _meant(resource: KubeObject, path: str, plural: str) -> bool:
    """Whether the rules of a policy or of a webhook are about a resource."""
    entries: list[Json] = resource.at(path, [])
    rules: list[Json] = [rule for entry in entries for rule in (entry.get("rules") or [entry])]
    resources: list[str] = [str(each) for rule in rules for each in cast("list[str]", rule.get("resources") or [])]
    named = {resource.partition("/")[0] for resource in resources}
    return bool(named & {"*", plural})
