"""Parses the file of samples that a sampler writes. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kubechain.core import redact
from kubechain.core.errors import HarnessError
from kubechain.probes.load import Sample


@dataclass(frozen=True)
class Samples:
    """The content of a file of samples; times are Unix seconds.

    `samples` are those of each route, in the order of sending; `renewed` are the times of each route at which a kept
    connection was found closed and replaced; `started` are the times at which the sampler was started.
    """

    samples: tuple[tuple[Sample, ...], ...]
    renewed: tuple[tuple[float, ...], ...]
    started: tuple[float, ...]


def read(text: str, count: int, *, begun: bool = False) -> Samples:
    """Parse a file of samples of `count` routes, of which some may have been added after its header.

    What has `begun` before is the rest of a file, which needs no header.

    Raises:
        HarnessError: a record is unknown or torn, or the file is about more routes.

    """
    samples: list[list[Sample]] = [[] for _ in range(count)]
    renewed: list[list[float]] = [[] for _ in range(count)]
    started: list[float] = []
    for number, line, entry in _entries(text):
        try:
            match entry:
                case {"sampler": 1, "paths": paths, "started": at}:
                    _require_known(number, paths, count)
                    started.append(float(at))
                case {"paths": paths, **rest} if not rest:
                    _require_known(number, paths, count)
                case {"renewed": int(route), "at": at} if route >= 0:
                    renewed[route].append(float(at))
                case [int(route), sent, done, "up" | "down" | "unknown" as state, str(error)] if route >= 0:
                    samples[route].append(Sample(float(sent), float(done), state, error))
                case _:
                    raise ValueError
        except (ValueError, TypeError, IndexError):
            raise HarnessError(f"samples file, line {number}: unknown record {redact.beginning(line, 100)!r}") from None
    if not (started or begun) and any((*samples, *renewed)):
        raise HarnessError("samples file, line 1: no header of a sampler")
    by_route = tuple(tuple(sorted(of_route, key=lambda sample: sample.sent)) for of_route in samples)
    return Samples(by_route, tuple(tuple(sorted(times)) for times in renewed), tuple(started))


def _require_known(line: int, paths: int, count: int) -> None:
    if paths > count:
        raise HarnessError(f"samples file, line {line}: header for {paths} routes, expected {count}")


def _entries(text: str) -> Iterator[tuple[int, str, Any]]:
    """Yield the number, the text and the JSON value of each line, without torn lines.

    A line may be torn if it is the last, or if the sampler was killed: then the next line is the header of its restart.
    """
    lines = text.rstrip("\n").split("\n") if text else []
    for number, line in enumerate(lines, 1):
        try:
            yield number, line, json.loads(line)
        except json.JSONDecodeError:
            if number < len(lines) and not lines[number].startswith('{"sampler":'):
                raise HarnessError(f"samples file, line {number}: not JSON: {redact.beginning(line, 100)!r}") from None
