"""The Pods of Jobs and how they ended, also of those that are gone: an evicted Pod does not outlast its Job."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.deploy.files import NAMESPACE
from tests.rights.account import Admin

Json = dict[str, Any]
OF_JOBS = ("get", "pods", "--namespace", NAMESPACE, "--selector", "batch.kubernetes.io/job-name", "-o", "json")
END_SECONDS = 10.0


@dataclass(frozen=True)
class Watched:
    """Each state of each Pod that kubectl has printed so far, as JSON after JSON in a file."""

    path: Path

    def ends(self) -> list[Json]:
        """Return how the containers of the Pods ended, by their begin."""
        found: dict[str, Json] = {}
        for pod in documents(self.path.read_text(encoding="utf-8")):
            for status in pod.get("status", {}).get("containerStatuses", []):
                if end := status["state"].get("terminated"):
                    found[pod["metadata"]["uid"]] = end
        return sorted(found.values(), key=lambda end: end["startedAt"])


def documents(text: str) -> list[Json]:
    """Return the JSON objects of a text in which one follows the other; an unfinished one at its end is left out."""
    decoder, found, at = json.JSONDecoder(), list[Json](), 0
    while (at := text.find("{", at)) >= 0:
        try:
            document, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            break
        found.append(document)
    return found


@contextmanager
def watched(admin: Admin, path: Path) -> Generator[Watched]:
    """Watch the Pods of Jobs while the body runs; their states are written to a file."""
    with path.open("wb") as output, subprocess.Popen(admin.command(*OF_JOBS, "--watch"), stdout=output) as process:
        try:
            yield Watched(path)
        finally:
            process.terminate()
            process.wait(END_SECONDS)


def listed(admin: Admin) -> list[Json]:
    """Return the Pods of Jobs that there are."""
    return json.loads(admin.run(*OF_JOBS))["items"]
