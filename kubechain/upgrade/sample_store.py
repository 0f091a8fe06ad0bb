"""The folder of samples: for each sampler a file of samples and one with its routes, which outlive Nodes, Pods and runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from kubechain.probes.load import Sample, Tally
from kubechain.upgrade import samples
from kubechain.upgrade.model import NodeSpan, Route
from kubechain.upgrade.snapshot import write_atomically

SAMPLES, ROUTES, NODES = ".jsonl", ".routes.json", ".nodes.json"
_ROUTES, _SPANS = TypeAdapter(list[Route]), TypeAdapter(list[NodeSpan])


@dataclass(frozen=True)
class SampleStore:
    """The folder of samples; an interrupted run leaves it to the next, which adds files of its own."""

    folder: Path

    def file(self, sampler: str) -> Path:
        """Return the file of samples of a sampler; its name must be another in each run."""
        return self.folder / f"{sampler}{SAMPLES}"

    def describe(self, sampler: str, routes: Iterable[Route]) -> None:
        """Write which routes the samples of a sampler are about, in the order of its plan."""
        write_atomically(self.folder / f"{sampler}{ROUTES}", _ROUTES.dump_json([*routes]).decode())

    def keep_nodes(self, run: str, spans: Sequence[NodeSpan]) -> None:
        """Write when the Nodes served, as far as a run saw it."""
        write_atomically(self.folder / f"{run}{NODES}", _SPANS.dump_json([*spans]).decode())

    def nodes(self) -> tuple[NodeSpan, ...]:
        """Return when the Nodes served, as earlier runs saw it."""
        files = sorted(self.folder.glob(f"*{NODES}"))
        return tuple(span for file in files for span in _SPANS.validate_json(file.read_bytes()))

    def tallies(self) -> list[tuple[Route, Tally]]:
        """Return all samples of each route; HarnessError if a file is not one of samples."""
        found: dict[Route, list[tuple[Sample, ...]]] = {}
        for file in sorted(self.folder.glob(f"*{ROUTES}")):
            routes = _ROUTES.validate_json(file.read_bytes())
            out = self.file(file.name.removesuffix(ROUTES))
            text = out.read_bytes().decode() if out.exists() else ""
            for route, of_route in zip(routes, samples.read(text, len(routes)).samples, strict=True):
                found.setdefault(route, []).append(of_route)
        return [
            (route, Tally(route.name, tuple(sorted(itertools.chain(*parts), key=lambda sample: sample.sent))))
            for route, parts in found.items()
        ]
