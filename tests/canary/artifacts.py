"""How a secret comes into a file of a run: what stands around it, how it is encoded, and the type of the file."""

from __future__ import annotations

import base64
import json
import math
import urllib.parse
from collections.abc import Callable
from xml.sax.saxutils import escape, quoteattr

import yaml

Around = Callable[[str], str]


def _log(text: str) -> str:
    return "\n".join(f"2026-11-26T20:15:02.123456Z stderr F {line}" for line in text.splitlines())


def _yaml(body: object) -> str:
    return yaml.safe_dump(body, sort_keys=False, width=math.inf)


# Place -> what a program writes about a text there.
PLACES: dict[str, Around] = {
    "log of a Pod": _log,
    "event": lambda text: f"2026-11-26T20:15:02Z Warning Pod/web-1 Failed: Error: {text}",
    "answer 403": lambda text: f'API server: 403 Forbidden: pods is forbidden: User "ci" cannot list: {text}',
    "answer 422": lambda text: f'Deployment "web" is invalid: spec: Invalid value: {json.dumps(text)}: must be another',
    "webhook or policy": lambda text: f'admission webhook "policy.example" denied the request: {text}',
    "warning header": lambda text: f'299 - "{text.replace(chr(34), chr(92) + chr(34))}"',
    "annotation of a Pod": lambda text: _yaml({"metadata": {"annotations": {"example.com/config": text}}}),
    "annotation of a Node": lambda text: _yaml({"kind": "Node", "metadata": {"annotations": {"cloud.example/config": text}}}),
    "variable of a container": lambda text: _yaml({"env": [{"name": "CONFIG", "value": text}]}),
    "command of a container": lambda text: _yaml({"command": ["sh", "-c", f"run {text}"]}),
    "ConfigMap": lambda text: _yaml({"kind": "ConfigMap", "data": {"Corefile": f".:53 {{\n    # {text}\n}}\n"}}),
    "credential plugin": lambda text: f"KUBECONFIG=x: credential plugin aws: exit status 1: {' '.join(text.split())}",
    "output of docker": lambda text: f"`docker pull x` failed (status 1): {' | '.join(text.splitlines())}",
    "message of a claim": lambda text: f"expected 2 ready Pods, got 1: {text} (waited 60.0 of 60 s: image)",
    "traceback": lambda text: f"E   kubechain.core.errors.HarnessError: {text!r}\n\nx.py:3: HarnessError",
}
ENCODINGS: dict[str, Around] = {
    "plain": str,
    "JSON": json.dumps,
    "JSON in JSON": lambda text: json.dumps(json.dumps({"value": text})),
    "URL": lambda text: f"GET /api?q={urllib.parse.quote(text, safe='')}",
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
}


def _junit(text: str) -> str:
    return f"<testsuite><testcase name={quoteattr(text)}><failure>{escape(text)}</failure></testcase></testsuite>"


def _json(text: str) -> str:
    return json.dumps({"statusDetails": {"message": text}, "steps": [{"name": text}]}, indent=2)


# Name of a file -> how a text gets into it.
FILES: dict[str, Around] = {
    "evidence.txt": str,
    "kind.log": str,
    "summary.md": lambda text: f"- **CHAIN-PODS-010** It MUST run.<br>{text}",
    "run.json": _json,
    "samples.jsonl": lambda text: f"{json.dumps({'error': text})}\n{json.dumps({'text': [text]})}\n",
    "junit.xml": _junit,
    "upgrade.html": lambda text: f"<p>{escape(text)}</p>",
    "page.html": lambda text: f"<pre>{escape(text)}</pre>",
    "attachment": str,
}
