"""The subresources by which a part of an object is read and written: scale and status."""

from __future__ import annotations

from kubechain.kube.objects import Json
from tests.hostile.exchange import Request
from tests.hostile.store import Store, key_of, merged

PARTS = ("scale", "status")


def answer(store: Store, request: Request) -> Json:
    """Read or write a part of an object, and return it."""
    place = request.place
    with store.changed:
        found = store.required((place.kind, place.namespace, place.name))
        if request.verb != "get":
            made = written(found, place.sub, request.body, patch=request.verb == "patch")
            found = store.modify(key_of(found), lambda body: (body.clear(), body.update(made)))
        return read(found, place.sub)


def read(body: Json, sub: str) -> Json:
    """Return a subresource of an object: a Scale, or the object itself."""
    if sub == "status":
        return body
    metadata, labels = body["metadata"], body["spec"]["selector"]["matchLabels"]
    named = {name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion")}
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    status = {"replicas": body["status"].get("replicas", 0), "selector": selector}
    head: Json = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": named}
    return {**head, "spec": {"replicas": body["spec"]["replicas"]}, "status": status}


def written(body: Json, sub: str, sent: Json, *, patch: bool) -> Json:
    """Return an object after a patch or an update of a subresource; the rest of what is sent is ignored."""
    after = merged(read(body, sub), sent) if patch else sent
    if sub == "status":
        return {**body, "status": after["status"]}
    return {**body, "spec": {**body["spec"], "replicas": after["spec"]["replicas"]}}
