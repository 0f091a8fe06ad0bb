"""A Deployment in the encoding in which `kubectl create deployment` sends it.

https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding; the numbers are those of generated.proto in
k8s.io/api and k8s.io/apimachinery.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubechain.kube.objects import Json

TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"
WORD, NUMBER, LABELS, ONE, MANY = "word", "number", "labels", "one", "many"
# Message -> field number -> name of the field, and what it is: a word, a number, labels, one message, or many.
METADATA = {1: ("name", WORD), 11: ("labels", LABELS)}
PORT = {3: ("containerPort", NUMBER), 4: ("protocol", WORD)}
CONTAINER = {1: ("name", WORD), 2: ("image", WORD), 6: ("ports", (MANY, PORT))}
POD_SPEC = {2: ("containers", (MANY, CONTAINER))}
TEMPLATE = {1: ("metadata", (ONE, METADATA)), 2: ("spec", (ONE, POD_SPEC))}
SELECTOR = {1: ("matchLabels", LABELS)}
SPEC = {1: ("replicas", NUMBER), 2: ("selector", (ONE, SELECTOR)), 3: ("template", (ONE, TEMPLATE))}
DEPLOYMENT = {1: ("metadata", (ONE, METADATA)), 2: ("spec", (ONE, SPEC))}


def decoded(data: bytes) -> Json:
    """Return the Deployment as JSON."""
    fields = dict(_fields(data.removeprefix(MAGIC)))
    kinds = {number: value.decode() for number, value in _fields(fields[1])}
    return {"apiVersion": kinds[1], "kind": kinds[2], **_message(fields[2], DEPLOYMENT)}


def _message(data: bytes, schema: dict[int, Any]) -> Json:
    made: Json = {}
    for number, value in _fields(data):
        if number not in schema:
            continue
        name: str = schema[number][0]
        form: Any = schema[number][1]
        if form == WORD:
            made |= {name: value.decode()} if value else {}
        elif form == NUMBER:
            made |= {name: value} if value else {}
        elif form == LABELS:
            key, text = (part.decode() for _, part in sorted(_fields(value)))
            made.setdefault(name, {})[key] = text
        elif form[0] == MANY:
            made.setdefault(name, []).append(_message(value, form[1]))
        else:
            made[name] = _message(value, form[1])
    return made


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value of each field: bytes, or an int (https://protobuf.dev/programming-guides/encoding/)."""
    place = 0

    def number() -> int:
        nonlocal place
        shift = value = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(data):
        tag = number()
        if tag & 7 == 0:
            yield tag >> 3, number()
        else:
            size = number()
            yield tag >> 3, data[place : place + size]
            place += size
