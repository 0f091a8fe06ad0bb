"""Obstacles: what keeps a run from saying anything about the chain, though the cluster works as it was told to."""

from __future__ import annotations

import re
from enum import StrEnum

from kubechain.core.errors import ExitCode


class Obstacle(StrEnum):
    """The obstacles; a claim behind one is blocked by it, and no link is broken."""

    ADMISSION = "ADMISSION"
    ROOM = "ROOM"
    IMAGES = "IMAGES"
    NAMESPACE = "NAMESPACE"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a run that ends at the obstacle."""
        return {Obstacle.IMAGES: ExitCode.IMAGES, Obstacle.NAMESPACE: ExitCode.HARNESS}.get(self, ExitCode.REFUSED)

    @property
    def what(self) -> str:
        """What the verdict says before the reason."""
        return {
            Obstacle.ADMISSION: "the cluster refuses objects of this run",
            Obstacle.ROOM: "no Node takes the Pods of this run",
            Obstacle.IMAGES: "an image of this run cannot be run",
            Obstacle.NAMESPACE: "somebody else deleted a namespace of this run",
        }[self]


# How the API server says who refuses: pattern -> who, with the groups of the pattern.
REFUSERS = (
    (re.compile(r"ValidatingAdmissionPolicy '([^']+)'"), "ValidatingAdmissionPolicy {}"),
    (re.compile(r'admission webhook "([^"]+)"'), "webhook {}"),
    (re.compile(r'failed calling webhook "([^"]+)"'), "dead webhook {}"),
    (re.compile(r"exceeded quota: ([^,\s]+)"), "ResourceQuota {}"),
    (re.compile(r"failed quota: ([^:\s]+)"), "ResourceQuota {}"),
    (re.compile(r"status unknown for quota: ([^,\s]+)"), "ResourceQuota {}"),
    (re.compile(r'violates PodSecurity "([^"]+)"'), "Pod Security {}"),
    (re.compile(r"security context constraint"), "SecurityContextConstraints"),
    (re.compile(r"(?:maximum|minimum) \S+ (?:usage|limit)|max limit to request ratio"), "LimitRange"),
    (re.compile(r"no PriorityClass with name (\S+)"), "the missing PriorityClass {}"),
)
# The API server could not do it itself, whoever the reason names.
OWN_FAILURES = ("failed to allocate",)
NO_DRY_RUN = "does not support dry run"


def refuser(message: str) -> str:
    """Return who refuses an object by the message of the API server: "webhook policy.example.org"; "" if it names nobody."""
    if any(words in message for words in OWN_FAILURES):
        return ""
    for pattern, who in REFUSERS:
        match = pattern.search(message)
        if match:
            return who.format(*match.groups())
    return ""


# What a scheduler says of a Node that is in order and takes no Pod of the run.
FULL = re.compile(r"\d+ (Insufficient |Too many pods|node\(s\) had untolerated taint|node\(s\) didn't match)")


def no_room(message: str) -> bool:
    """Whether the scheduler says that every Node is full, or not meant for the Pod, and at least one is full.

    A taint alone may be that of a lost Node, and a Node that is cordoned says nothing about room.
    """
    sentence = message.partition(" preemption: ")[0].partition("nodes are available: ")[2]
    reasons = [part.strip(" .") for part in re.split(r",(?! [a-z]+:)|\. ", sentence) if re.match(r"\s*\d+ ", part)]
    capacity = [part for part in reasons if "Insufficient" in part or "Too many pods" in part]
    return bool(capacity) and all(FULL.match(part) for part in reasons)
