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


class PlanFile:
    """The file of the plan, which whoever wrote it may replace by a later version."""

    def __init__(self, path: Path) -> None:
        self._path, self._stamp = path, _stamp(path)

    def read(self) -> Plan:
        """Parse the plan; OSError, ValueError, KeyError, TypeError or AttributeError if it is not one."""
        return Plan.parse(json.loads(self._path.read_text(encoding="utf-8")))

    def changed(self) -> Plan | None:
        """Return the plan if the file was replaced since the last call; None also if the new file is no plan."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self._stamp = stamp
                return self.read()
        return None


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


async def sample(plan: Plan, out: SampleFile, file: PlanFile) -> None:
    """Create the sampler in the running event loop, which it needs, and run it to the end of the plan."""
    await Sampler(plan, out, file.changed).run()


def main(arguments: list[str]) -> int:
    """Read the plan and sample; returns the exit status."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    with contextlib.suppress(OSError, ValueError):
        # A route without answers has many open connections.
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (65536 if hard == resource.RLIM_INFINITY else min(hard, 65536), hard))
    try:
        plan_path, out_path = arguments
        file = PlanFile(Path(plan_path))
        plan, out = file.read(), SampleFile(Path(out_path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        sys.stderr.write(f"sampler PLAN OUT: bad arguments or plan: {type(error).__name__}: {describe(error)}\n")
        return 2
    try:
        asyncio.run(sample(plan, out, file))
    except OSError as error:
        sys.stderr.write(f"sampler: {describe(error)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
