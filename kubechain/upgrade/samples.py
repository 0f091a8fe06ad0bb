"""What the sampler wrote, read back. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kubechain.core.errors import HarnessError
from kubechain.probes.load import Sample


@dataclass(frozen=True)
class Samples:
    """The samples of each path in the order in which they were sent, and more about the sampler; times are Unix seconds.

    `renewed` tells for each path when a kept connection was found closed and another one was opened; `started` has one
    time for each start of the sampler, which may have been restarted.
    """

    samples: tuple[tuple[Sample, ...], ...]
    renewed: tuple[tuple[float, ...], ...]
    started: tuple[float, ...]


def read(text: str, count: int) -> Samples:
    """Return what the sampler wrote about `count` paths; HarnessError if it is not that."""
    samples: list[list[Sample]] = [[] for _ in range(count)]
    renewed: list[list[float]] = [[] for _ in range(count)]
    started: list[float] = []
    for number, line, entry in _entries(text):
        try:
            match entry:
                case {"sampler": 1, "paths": paths, "started": at}:
                    if paths != count:
                        raise HarnessError(f"line {number} of the samples is about {paths} paths, not {count}")
                    started.append(float(at))
                case {"renewed": int(path), "at": at} if path >= 0:
                    renewed[path].append(float(at))
                case [int(path), sent, done, "up" | "down" | "unknown" as state, str(error)] if path >= 0:
                    samples[path].append(Sample(float(sent), float(done), state, error))
                case _:
                    raise ValueError
        except (ValueError, TypeError, IndexError):
            raise HarnessError(f"line {number} of the samples is not one of the sampler: {line[:100]!r}") from None
    if not started and any((*samples, *renewed)):
        raise HarnessError("the samples do not begin as the sampler begins them")
    ordered = tuple(tuple(sorted(each, key=lambda sample: sample.sent)) for each in samples)
    return Samples(ordered, tuple(tuple(sorted(each)) for each in renewed), tuple(started))


def _entries(text: str) -> Iterator[tuple[int, str, Any]]:
    """Yield the lines with their numbers, without those that a killed sampler, or a reader in between, tore: no JSON.

    Such a line is the last, or the next one is the first line of the sampler that was started after it.
    """
    lines = text.rstrip("\n").split("\n") if text else []
    for number, line in enumerate(lines, 1):
        try:
            yield number, line, json.loads(line)
        except json.JSONDecodeError:
            if number < len(lines) and not lines[number].startswith('{"sampler":'):
                raise HarnessError(f"line {number} of the samples is torn: {line[:100]!r}") from None
