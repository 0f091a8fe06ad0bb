"""The program: reads the plan and samples until its end; exit status 0, 1 for an error of the machine, 2 for a bad plan."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import resource
import sys
from pathlib import Path

from .errors import describe
from .plan import Plan
from .schedule import Sampler
from .writer import SampleFile


async def sample(plan: Plan, out: SampleFile) -> None:
    """Create the sampler in the running event loop, which it needs, and run it to the end of the plan."""
    await Sampler(plan, out).run()


def main(arguments: list[str]) -> int:
    """Read the plan and sample; returns the exit status."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    with contextlib.suppress(OSError, ValueError):
        # A route without answers has many open connections.
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (65536 if hard == resource.RLIM_INFINITY else min(hard, 65536), hard))
    try:
        plan_path, out_path = arguments
        plan, out = Plan.parse(json.loads(Path(plan_path).read_text(encoding="utf-8"))), SampleFile(Path(out_path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        sys.stderr.write(f"sampler PLAN OUT: bad arguments or plan: {type(error).__name__}: {describe(error)}\n")
        return 2
    try:
        asyncio.run(sample(plan, out))
    except OSError as error:
        sys.stderr.write(f"sampler: {describe(error)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
