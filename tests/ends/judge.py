"""What must hold after a run that was ended."""

from __future__ import annotations

import json
from pathlib import Path

from tests.ends.run import Case, Ended, command_line, marked, wait_for

VERDICTS = ("no verdict: ", "chain holds: ", "chain broken at ")
TROUBLE = ("Traceback (most recent call last)", "INTERNALERROR")
# A killed process is gone at once; what the run ended itself has ended with it.
GONE_SECONDS = 2.0


def problems(case: Case, folder: Path, ended: Ended) -> list[str]:
    """Return what does not hold on this machine, whether the run could clean up or not."""
    found = list(ended.problems)
    if ended.code not in case.codes:
        found.append(f"exit code {ended.code}, expected {' or '.join(map(str, case.codes))}")
    found += [f"the output has {words}" for words in TROUBLE if words in ended.output]
    if not case.killed:
        verdicts = [line for line in ended.output.splitlines() if line.startswith(VERDICTS)]
        if len(verdicts) != 1:
            found.append(f"{len(verdicts)} verdict lines, expected 1")
    if not case.leaves:
        found += leftovers(folder)
    return found + results(folder / "out")


def leftovers(folder: Path) -> list[str]:
    """Return what runs left on this machine: processes, folders, marks and temporary files."""
    wait_for(lambda: None if marked(folder) else True, GONE_SECONDS)
    found = [f"process: {command_line(each)[:100]}" for each in marked(folder)]
    # pytest-of-USER and the like are none of the run's.
    found += [f"temporary file: {path.name}" for path in (folder / "tmp").iterdir()]
    found += [f"run folder: {path.name}" for path in (folder / "out" / ".runs").glob("*")]
    return found + [f"mark: {path.name}" for path in (folder / "cache" / "runs").glob("*")]


def results(out: Path) -> list[str]:
    """Return what is wrong with the published results: they are those of one run, whole, as the manifest lists them."""
    names = {path.name for path in out.iterdir()} - {".lock", ".runs", "not-begun", "not-published", ".published.json"}
    try:
        listed = set(json.loads((out / ".published.json").read_text())["names"])
        run = json.loads((out / "run.json").read_text())
    except (OSError, ValueError) as error:
        return [f"results: {error}"]
    earlier = "earlier" in run
    found = [f"the manifest lists {sorted(listed)}, the folder holds {sorted(names)}"] if listed != names else []
    if earlier != ((out / "summary.md").read_text() == "earlier"):
        found.append("run.json and summary.md are of different runs")
    return found
