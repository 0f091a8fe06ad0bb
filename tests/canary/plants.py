"""What stands in the answers of an API server: secrets of every form, in objects, events, logs, warnings and refusals."""

from __future__ import annotations

import json
import re
from typing import Any

from kubechain.kube.objects import Json
from tests.api_proxy import Answers, Refusal
from tests.canary.forms import Form, forms

NODES, PODS, OTHERS, EVENTS, LOGS = "annotation of a Node", "annotation of a Pod", "annotation", "event", "log of a Pod"
VARIABLES, COREFILE, WARNINGS, REFUSED, INVALID = "variable", "Corefile", "warning header", "answer 403", "answer 422"
SECRETS = "Secret"
PLACES = (NODES, PODS, OTHERS, EVENTS, LOGS, VARIABLES, COREFILE, WARNINGS, REFUSED, INVALID, SECRETS)
# The requests that are refused: all, or only those of claims.
DRY_RUN, CLAIMS = "dry run", "claims"
ANNOTATIONS = {"Node": NODES, "Pod": PODS}


class Plants(Answers):
    """The secrets of one run of the rig; `sown` are the places whose secrets were sent to a client.

    `refuses` says which requests of `refusal` are refused: "" (none), DRY_RUN (also those before the first claim) or CLAIMS.
    """

    def __init__(self, seed: str) -> None:
        self.refuses = ""
        self.forms: dict[str, tuple[Form, ...]] = {place: forms(f"{seed} {place}") for place in PLACES}
        self.sown: set[str] = set()

    def texts(self, place: str) -> list[str]:
        """Return the texts of a place, which is sown with them."""
        self.sown.add(place)
        return [form.shown for form in self.forms[place]]

    def secrets(self) -> dict[str, tuple[str, str]]:
        """Return secret -> (place, form)."""
        return {
            secret: (place, form.name) for place, planted in self.forms.items() for form in planted for secret in form.secrets
        }

    def answer(self, path: str, body: Any) -> Any:
        """Return the JSON of an answer, a list, an object or an event of a watch, with secrets in every object."""
        if not isinstance(body, dict):
            return body
        answer: Json = body  # pyright: ignore[reportUnknownVariableType]  # JSON
        kind = str(answer.get("kind", ""))
        if isinstance(answer.get("object"), dict):
            return {**answer, "object": self.answer(path, answer["object"])}
        if isinstance(answer.get("items"), list):
            items = [{"kind": kind.removesuffix("List"), **item} for item in answer["items"]]
            return {**answer, "items": [self.answer(path, item) for item in items]}
        return self._object(answer, kind) if answer.get("metadata", {}).get("name") else answer

    def _object(self, body: Json, kind: str) -> Json:
        place = ANNOTATIONS.get(kind, OTHERS)
        notes: Json = {f"canary.example/{number}": text for number, text in enumerate(self.texts(place))}
        metadata: Json = {**body["metadata"], "annotations": {**(body["metadata"].get("annotations") or {}), **notes}}
        planted: Json = {**body, "metadata": metadata}
        match kind:
            case "Event":
                planted["message"] = "\n".join([str(body.get("message", "")), *self.texts(EVENTS)])
            case "Pod":
                first, *others = body["spec"]["containers"]
                named = [{"name": f"CANARY_{number}", "value": text} for number, text in enumerate(self.texts(VARIABLES))]
                planted["spec"] = {**body["spec"], "containers": [{**first, "env": [*first.get("env", []), *named]}, *others]}
            case "ConfigMap" if metadata["name"] == "coredns":
                lines = [f"# {line}" for text in self.texts(COREFILE) for line in text.splitlines()]
                planted["data"] = {**body["data"], "Corefile": "\n".join([body["data"]["Corefile"], *lines, ""])}
            case "Secret":
                planted["data"] = {**(body.get("data") or {}), "canary": " ".join(self.texts(SECRETS))}
            case _:
                pass
        return planted

    def log(self, text: str) -> str:
        """Return a log with secrets in its last lines."""
        return "\n".join([text.rstrip("\n"), *self.texts(LOGS), ""])

    def warnings(self) -> list[str]:
        """Return values of the header Warning, one line each."""
        shown = (" ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"') for text in self.texts(WARNINGS))
        return [f'299 - "{text}"' for text in shown]

    def refusal(self, method: str, path: str, authorization: str) -> Refusal | None:
        """Refuse Services with 403 and scaling with 422, as `refuses` says.

        The refusals also repeat the credentials of the client, as some proxies do.
        """
        resource, _, query = path.partition("?")
        if not self.refuses or (self.refuses == CLAIMS and "dryRun" in query):
            return None
        if method == "POST" and resource.endswith("/services"):
            place, status, reason = REFUSED, 403, "Forbidden"
        elif method == "PATCH" and re.search(r"/(deployments/\w+|pods/\w[\w-]*)$", resource):
            place, status, reason = INVALID, 422, "Invalid"
        else:
            return None
        message = "\n".join(["denied by policy canary for", authorization, *self.texts(place)])
        return Refusal(status, json.dumps({"kind": "Status", "code": status, "reason": reason, "message": message}))
