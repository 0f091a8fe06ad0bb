"""The folder of samples: for each sampler what it wrote, condensed, and its routes, which outlive Nodes, Pods and runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter

from kubechain.probes.load import Sample, Tally
from kubechain.upgrade import samples
from kubechain.upgrade.condensed import SampleRun, condensed, run_of, samples_of
from kubechain.upgrade.model import NodeSpan, Route
from kubechain.upgrade.snapshot import write_atomically

SAMPLES, ROUTES, NODES, KEPT = ".jsonl", ".routes.json", ".nodes.json", ".kept.json"
# A sampler waits for a late answer for up to 3 s: what is older than this is not followed by a request that was sent before it.
SETTLED_SECONDS = 5.0


@dataclass
class Kept:
    """The condensed samples of a sampler, by its routes, and the size in bytes of what it wrote that is in them.

    `origin` is where in that the file of samples begins; `ahead` is by how many seconds the clock in what it wrote is ahead.
    """

    runs: list[list[SampleRun]] = field(default_factory=list[list[SampleRun]])
    size: int = 0
    origin: int = 0
    begun: bool = False
    ahead: float = 0.0


_ROUTES, _SPANS, _KEPT = TypeAdapter(list[Route]), TypeAdapter(list[NodeSpan]), TypeAdapter(Kept)


@dataclass(frozen=True)
class SampleStore:
    """The folder of samples; an interrupted run leaves it to the next, which adds files of its own."""

    folder: Path

    def file(self, sampler: str) -> Path:
        """Return the file with what a sampler wrote since `origin`; the name of a sampler must be another in each run."""
        return self._file(sampler, self._kept(sampler))

    def have(self, sampler: str) -> int:
        """Return how many bytes of what a sampler wrote are here."""
        kept = self._kept(sampler)
        file = self._file(sampler, kept)
        return kept.origin + (file.stat().st_size if file.exists() else 0)

    def set_clock(self, sampler: str, ahead: float) -> None:
        """Say by how many seconds the clock of a sampler is ahead, before anything that it wrote is here."""
        write_atomically(self.folder / f"{sampler}{KEPT}", _KEPT.dump_json(replace(self._kept(sampler), ahead=ahead)).decode())

    def describe(self, sampler: str, routes: Iterable[Route]) -> None:
        """Write which routes the samples of a sampler are about, in the order of its plan."""
        write_atomically(self.folder / f"{sampler}{ROUTES}", _ROUTES.dump_json([*routes]).decode())

    def described(self, sampler: str) -> list[Route]:
        """Return which routes the samples of a sampler are about, [] of one that is not known."""
        file = self.folder / f"{sampler}{ROUTES}"
        return _ROUTES.validate_json(file.read_bytes()) if file.exists() else []

    def samplers(self) -> list[str]:
        """Return the names of all samplers."""
        return [file.name.removesuffix(ROUTES) for file in sorted(self.folder.glob(f"*{ROUTES}"))]

    def fold(self, sampler: str, *, again: bool) -> None:
        """Condense what a sampler wrote; HarnessError if it is not about its routes.

        With `again` the file is removed: what is not condensed yet can be fetched again.
        """
        kept = self._kept(sampler)
        file = self._file(sampler, kept)
        runs, whole = self._read(sampler, kept)
        if whole == kept.size:
            return
        newest = max((run.done for of_route in runs for run in of_route), default=0.0)
        joined = [condensed(of_route, newest - SETTLED_SECONDS) for of_route in runs]
        new = replace(kept, runs=joined, size=whole, origin=whole if again else kept.origin, begun=True)
        write_atomically(self.folder / f"{sampler}{KEPT}", _KEPT.dump_json(new).decode())
        if again:
            file.unlink()

    def keep_nodes(self, run: str, spans: Sequence[NodeSpan]) -> None:
        """Write when the Nodes served, as far as a run saw it."""
        write_atomically(self.folder / f"{run}{NODES}", _SPANS.dump_json([*spans]).decode())

    def nodes(self, *, but: str = "") -> tuple[NodeSpan, ...]:
        """Return when the Nodes served, as earlier runs saw it, `but` one of them."""
        files = (file for file in sorted(self.folder.glob(f"*{NODES}")) if file.name != f"{but}{NODES}")
        return tuple(span for file in files for span in _SPANS.validate_json(file.read_bytes()))

    def tallies(self) -> list[tuple[Route, Tally]]:
        """Return all samples of each route, condensed; HarnessError if a file is not one of samples."""
        found: dict[Route, list[list[SampleRun]]] = {}
        for sampler in self.samplers():
            runs, _ = self._read(sampler, self._kept(sampler))
            for route, of_route in zip(self.described(sampler), runs, strict=True):
                found.setdefault(route, []).append(of_route)
        return [
            (route, Tally(route.name, tuple(each for run in condensed(itertools.chain(*parts)) for each in samples_of(run))))
            for route, parts in found.items()
        ]

    def _kept(self, sampler: str) -> Kept:
        file = self.folder / f"{sampler}{KEPT}"
        return _KEPT.validate_json(file.read_bytes()) if file.exists() else Kept()

    def _file(self, sampler: str, kept: Kept) -> Path:
        return self.folder / f"{sampler}{f'@{kept.origin}' if kept.origin else ''}{SAMPLES}"

    def _read(self, sampler: str, kept: Kept) -> tuple[list[list[SampleRun]], int]:
        """Return the runs of each route, those of the file not condensed, and up to which byte these are."""
        count, file = len(self.described(sampler)), self._file(sampler, kept)
        new = b""
        if file.exists():
            with file.open("rb") as written:
                written.seek(kept.size - kept.origin)
                new = written.read()
        # The last line may not have been written whole yet.
        new = new[: new.rfind(b"\n") + 1]
        of_file = samples.read(new.decode(), count, begun=kept.begun).samples
        before = [*kept.runs, *([] for _ in range(count - len(kept.runs)))]
        here = ([_by_own_clock(each, kept.ahead) for each in of_route] for of_route in of_file)
        runs = [[*known, *map(run_of, of_route)] for known, of_route in zip(before, here, strict=True)]
        return runs, kept.size + len(new)


def _by_own_clock(sample: Sample, ahead: float) -> Sample:
    """Return a sample of a clock that is ahead by so many seconds with its times by the clock of this run."""
    return replace(sample, sent=sample.sent - ahead, done=sample.done - ahead) if ahead else sample
