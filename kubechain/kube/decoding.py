"""Answers of the API server, decoded; what is no answer of an API server is trouble, and not a fact about the cluster."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import Any, cast

from kubechain.core import redact
from kubechain.core.errors import ExitCode, HarnessError
from kubechain.kube.errors import ApiUnavailable
from kubechain.kube.objects import Json, KubeObject

MOST_CHARACTERS = 100
# RFC 7234, 5.5: code, agent and quoted text; a header may hold several warnings.
WARNING = re.compile(r'\d{3} \S+ "((?:[^"\\]|\\.)*)"')


def as_json(text: str | bytes, what: str) -> Json:
    """Return a JSON object; ApiUnavailable if the text is none: a proxy's page, or an answer that was cut off."""
    try:
        answer: Any = json.loads(text)
    except ValueError as error:
        raise _bad(text, what, "is not JSON") from error
    if not isinstance(answer, dict):
        raise _bad(text, what, "is not a JSON object")
    return cast("Json", answer)


def as_object(answer: str | Json, kind: str) -> KubeObject:
    """Return a Kubernetes object; ApiUnavailable if it has no name. A kind that is left out is added."""
    body = as_json(answer, kind) if isinstance(answer, str) else answer
    metadata: Any = body.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(cast("Json", metadata).get("name"), str):
        raise _bad(json.dumps(body), kind, "has no metadata.name")
    return KubeObject(body if body.get("kind") else {**body, "kind": kind})


def as_table(text: str, kind: str) -> Json:
    """Return a Table of a kind; ApiUnavailable if the text is none, or has no columns or rows."""
    table = as_json(text, f"table of {kind}")
    if not isinstance(table.get("columnDefinitions"), list) or not isinstance(table.get("rows"), list):
        raise _bad(text, f"table of {kind}", "has no columns or no rows")
    return table


def as_event(line: bytes) -> tuple[str, Json]:
    """Return (type, object) of a line of a watch; ApiUnavailable if it has none."""
    event = as_json(line, "event of a watch")
    kind, body = event.get("type"), event.get("object")
    if not isinstance(kind, str) or not isinstance(body, dict):
        raise _bad(line, "event of a watch", "has no type or no object")
    return kind, cast("Json", body)


def _bad(text: str | bytes, what: str, why: str) -> ApiUnavailable:
    shown = text.decode(errors="replace") if isinstance(text, bytes) else text
    start = redact.beginning(" ".join(shown.split()), MOST_CHARACTERS)
    return ApiUnavailable(f"API server: the answer ({what}) {why}: {start or 'it is empty'}", ExitCode.UNREACHABLE)


def warning_texts(headers: Sequence[str]) -> list[str]:
    """Return the texts of Warning headers."""
    return [re.sub(r"\\(.)", r"\1", text) for header in headers for text in WARNING.findall(header)]


def as_time(date: str, server: str) -> float:
    """Return the time of day in a header Date in Unix seconds; HarnessError if a server sends none."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError as error:
        raise HarnessError(f"{server}: the answer has no time of day (header Date: {date!r})") from error
