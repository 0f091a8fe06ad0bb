"""Known issues: claims that fail for a known reason, each with an owner and a last day, in the file of --waivers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from kubechain.claims.claim import Outcome, link_of
from kubechain.claims.records import ClaimRecord, KnownIssue
from kubechain.cluster.target import Target
from kubechain.core import yaml_files
from kubechain.core.near_misses import IDS, suggestion
from kubechain.core.yaml_files import YamlFile

OPTION = "--waivers"


def _day(given: object) -> date:
    try:
        return date.fromisoformat(str(given))
    except ValueError as error:
        raise ValueError(f"expected a date such as 2027-01-31, got {given!r}") from error


Text = Annotated[str, Field(strict=True, min_length=1)]


class Waiver(BaseModel):
    """One entry of the file; `cluster` is the name of a context or the UID of kube-system, "" for every cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    claim: Text
    reason: Text
    owner: Text
    expires: Annotated[date, BeforeValidator(_day)]
    cluster: str = Field(default="", strict=True)

    def concerns(self, target: Target) -> bool:
        """Return whether the waiver is for this cluster."""
        return self.cluster in ("", target.context, target.uid)

    @property
    def issue(self) -> KnownIssue:
        """The known issue, as it appears in the record of the claim."""
        return KnownIssue(reason=self.reason, owner=self.owner, expires=self.expires)


@dataclass(frozen=True)
class Waivers:
    """The waivers of a file; without a file there are none."""

    file: YamlFile | None = None
    entries: Sequence[Waiver] = ()

    def require_claims(self, ids: Collection[str]) -> None:
        """Raise SetupError (exit code USAGE) for the first waiver of a claim that is not in `ids`."""
        for number, waiver in enumerate(self.entries):
            if self.file and waiver.claim not in ids:
                hint = suggestion(waiver.claim, ids, IDS)
                self.file.refuse((number, "claim"), f"no such claim: {waiver.claim}{hint}; `kubechain list` shows all")

    def of(self, claim: str, target: Target) -> Waiver | None:
        """Return the waiver of a claim on a cluster: the one that expires last, None if there is none."""
        concerned = (waiver for waiver in self.entries if waiver.claim == claim and waiver.concerns(target))
        return max(concerned, key=lambda waiver: waiver.expires, default=None)

    def links(self, target: Target, today: date) -> set[str]:
        """Return the links of the known issues on a cluster."""
        return {link_of(each.claim).value for each in self.entries if each.concerns(target) and today <= each.expires}

    def applied(self, record: ClaimRecord, target: Target, today: date) -> ClaimRecord:
        """Return the record of a failed claim as a known issue, or with a note if its waiver has expired."""
        waiver = self.of(record.id, target) if record.outcome == Outcome.FAILED else None
        if waiver is None:
            return record
        if today <= waiver.expires:
            return record.model_copy(update={"known": waiver.issue})
        expired = f"known issue expired on {waiver.expires}: {waiver.reason}, {waiver.owner}"
        return record.model_copy(update={"message": f"{record.message} ({expired})"})

    def stale(self, records: Iterable[ClaimRecord], target: Target) -> list[str]:
        """Return one line for each waiver whose claim passed on the cluster."""
        passed = [record.id for record in records if record.outcome == Outcome.PASSED]
        gone = dict.fromkeys(claim for claim in passed if self.of(claim, target))
        return [f"known issue {claim} no longer fails: remove it from {self.name}" for claim in gone]

    @property
    def name(self) -> str:
        """The path of the file, "" without one."""
        return self.file.option.partition("=")[2] if self.file else ""


def read(path: Path | None) -> Waivers:
    """Read the file of --waivers; None means no waivers.

    Raises:
        SetupError: the file cannot be read, or is not a list of waivers (exit code USAGE); the message has the line.

    """
    if path is None:
        return Waivers()
    file = yaml_files.read(OPTION, path)
    entries: list[Any] = file.content or []
    if type(entries) is not list:
        file.refuse((), "expected a list of `claim:`, `reason:`, `owner:` and `expires:`")
    waivers: list[Waiver] = []
    for number, entry in enumerate(entries):
        waiver = file.validated(Waiver, entry, (number,))
        if any((waiver.claim, waiver.cluster) == (other.claim, other.cluster) for other in waivers):
            file.refuse((number, "claim"), f"{waiver.claim}: the second waiver of this claim and cluster")
        waivers.append(waiver)
    return Waivers(file, waivers)
