"""Lists of the Kubernetes API in pages, and what is kept of large objects.

https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from kubechain.kube.decoding import as_json, as_object
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import Json, KubeObject

# Objects of one page of a list, as in client-go.
PAGE = 500
# The largest parts of a Node, which nothing here reads: the images on its disk, and who wrote which field.
UNREAD_OF_NODE = ("images", "volumesInUse", "volumesAttached")
# What is kept of an object.
Keep = Callable[[Json], Json]
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a list, and the resourceVersion of the list, from which a watch goes on."""

    items: list[KubeObject]
    version: str


def in_pages(get_page: Callable[[Mapping[str, str]], str], kind: str, keep: Keep) -> Listing:
    """Return a whole list: `get_page` gets the query of a page (limit, continue) and returns its text.

    All pages show the same resourceVersion. What is not kept of an object is dropped page by page.
    """
    items, page = list[KubeObject](), {"limit": str(PAGE)}
    while True:
        try:
            listed = as_json(get_page(page), f"list of {kind}")
        except ApiRefused as refused:
            if refused.status != HTTPStatus.GONE or "continue" not in page:
                raise
            # The version of the first page is too old by now: as client-go, list anew in one piece.
            items, page = [], {}
            continue
        metadata: Json = listed.get("metadata") or {}
        found: list[Json] = listed.get("items") or []
        # The API server leaves out the kind of the items of a list, and metadata alone has a kind of its own.
        items += [as_object(keep({**item, "kind": kind}), kind) for item in found]
        if not metadata.get("continue"):
            return Listing(items, str(metadata.get("resourceVersion") or "0"))
        page = {"limit": str(PAGE), "continue": str(metadata["continue"])}


def trimmed(body: Json) -> Json:
    """Return an object without what nothing reads of it, if it is a Node: a cluster may have thousands."""
    if body.get("kind") != "Node" or not isinstance(body.get("metadata"), dict):
        return body
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    status: Json = body.get("status") or {}
    kept = {name: value for name, value in status.items() if name not in UNREAD_OF_NODE}
    return {**body, "metadata": metadata, **({"status": kept} if status else {})}
