"""`kubechain merge`: one set of results from those of the parts of a suite, with the files that a run writes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from kubechain.claims.records import RunRecord, read_run
from kubechain.core import files, publish
from kubechain.core import run as runs
from kubechain.core.errors import ExitCode, SetupError
from kubechain.results import merging
from kubechain.results.runs import RUN_JSON, read_all

from . import chain_page, hand_overs, junit, metrics, summary


def merge(folders: Sequence[Path], out: Path) -> RunRecord:
    """Merge the results in folders, publish them in `out` in place of those that are there, and return them.

    Raises:
        SetupError: there is no result, or they do not belong together (exit code USAGE).

    """
    publish.require_ours(out)
    found = [run for folder in folders for run in read_all(folder)]
    run = runs.new(out)
    result = merging.merged(found).model_copy(update={"run": run.id})
    if all(len(part.chains) < hand_overs.MOST_CHAINS for part in found):
        # Else those of fast chains are not in the results, and the figures would be too high.
        result = result.model_copy(update={"hand_overs": hand_overs.summarized(result.chains)})
    result = result.model_copy(update={"chains": hand_overs.shown(result.chains)})
    run.folder.mkdir(parents=True)
    try:
        _evidence(folders, {claim.id for claim in result.claims if claim.message}, run.folder / "evidence")
        write(result, run.folder)
        publish.publish(run.folder, out)
    except OSError as error:
        raise SetupError(f"--out={out}: cannot be written: {error.strerror}", ExitCode.USAGE) from error
    finally:
        publish.discard(run.folder)
    return read_run(out / RUN_JSON)


def _evidence(folders: Sequence[Path], ids: set[str], target: Path) -> None:
    """Copy the evidence of claims that did not pass beside the merged results."""
    found = {path.stem: path for folder in folders for path in sorted(folder.rglob("evidence/*.txt")) if path.stem in ids}
    if found:
        target.mkdir()
    for name, path in found.items():
        shutil.copyfile(path, target / f"{name}.txt")


def write(result: RunRecord, folder: Path) -> None:
    """Write the files of a run, but for the HTML report of Allure, into a folder."""
    files.write(folder / RUN_JSON, json.dumps(result.as_json(), indent=2))
    files.write(folder / "summary.md", summary.markdown(result))
    files.write(folder / "junit.xml", junit.document(result, ()))
    files.write(folder / "metrics.txt", metrics.document(result))
    files.write(folder / "chain.html", chain_page.published(result, folder))
