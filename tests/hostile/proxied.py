"""The proxy of the API server: it asks a Service or a Pod over HTTP, and hands the answer on."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException

from tests.hostile.addresses import plain
from tests.hostile.exchange import Response
from tests.hostile.resources import Place
from tests.hostile.store import Refused, Store

PROXY_SECONDS = 3.0


def proxied(store: Store, place: Place) -> Response:
    """Ask the object that a path with `proxy` names; Refused (503) if it does not answer."""
    name, _, port = place.name.partition(":")
    target = store.required((place.kind, place.namespace, name))
    address = target["spec"]["clusterIP"] if place.kind == "Service" else target["status"]["podIP"]
    connection = HTTPConnection(plain(address), int(port or 80), timeout=PROXY_SECONDS)
    try:
        connection.request("GET", "/" + place.sub.partition("/")[2])
        answer = connection.getresponse()
        return Response(answer.status, answer.read(), {"Content-Type": "text/html"})
    except (OSError, HTTPException) as error:
        raise Refused(503, "ServiceUnavailable", f"error trying to reach service: {error}") from error
    finally:
        connection.close()
