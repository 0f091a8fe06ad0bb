"""The program: reads the plan, follows it to its end and says with its status how that went."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import resource
import sys
from pathlib import Path

from .errors import words
from .plan import Plan
from .schedule import Sampler
from .writer import Out


async def follow(plan: Plan, out: Out) -> None:
    """Follow a plan to its end."""
    await Sampler(plan, out).run()


def main(arguments: list[str]) -> int:
    """Sample as the plan says; returns the exit status."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    with contextlib.suppress(OSError, ValueError):
        # A path that is silent has many connections open.
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (65536 if hard == resource.RLIM_INFINITY else min(hard, 65536), hard))
    try:
        given, out = arguments
        plan, target = Plan.of(json.loads(Path(given).read_text(encoding="utf-8"))), Out(Path(out))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        sys.stderr.write(f"sampler PLAN OUT: {type(error).__name__}: {words(error)}\n")
        return 2
    try:
        asyncio.run(follow(plan, target))
    except OSError as error:
        sys.stderr.write(f"sampler: {words(error)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
