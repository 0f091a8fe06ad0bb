"""Makes a terrain on a cluster, runs the suite on it as on a stranger's cluster, and undoes it."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Generator, Iterable
from dataclasses import replace
from pathlib import Path

from kubechain.conditions.condition import Result, met, unmet
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, HarnessError, SetupError, Unmet
from kubechain.core.settings import PREFIX
from kubechain.faults import trial
from kubechain.kube.objects import Json
from tests import rigs
from tests.soak import way
from tests.terrains import faults
from tests.terrains.bench import Bench, bench
from tests.terrains.catalogue import TERRAINS
from tests.terrains.ground import Ground
from tests.terrains.terrain import Difference, Ended, Judged, Terrain, Tried, problems

RUN_SECONDS = 1200.0
HEAL_ATTEMPTS = 5
# Folder of the results of a run, beside what it printed and was given.
RESULTS = "results"
# The claims that show that the chain works again after a fault.
WORKS = "CHAIN-ENDPOINTS-010,CHAIN-CLUSTERIP-010,CHAIN-NODEPORT-010,CHAIN-DNS-010,CHAIN-DELETION-020"


def judged(ground: Ground, terrain: Terrain, out: Path, *, with_faults: bool = False) -> Judged:
    """Make a terrain, run the suite with its results in `out`, undo it; return how the run ended, and what is wrong with it.

    With `with_faults`, the faults of the terrain are injected one after another, if nothing is wrong.
    """
    judgement = Judged(terrain, Ended(-1, "the terrain was not made", 0.0), [])
    out.mkdir(parents=True)
    ground.note(terrain.id)
    try:
        for difference in terrain.differences:
            difference.inject(ground)
        for difference in terrain.differences:
            ground.until(f"terrain {terrain.id}", difference.in_effect)
        judgement = replace(judgement, ended=run(ground, terrain, out))
        judgement.wrong.extend(problems(terrain, judgement.ended))
        if with_faults and not judgement.wrong:
            judgement.tried.extend(under_faults(ground, terrain, out / "faults"))
    except (HarnessError, Unmet) as error:
        judgement.wrong.append(str(error))
    finally:
        judgement.left.extend(undo(ground, terrain))
        if judgement.undone:
            ground.note("")
    return judgement


def under_faults(ground: Ground, terrain: Terrain, out: Path) -> Generator[Tried]:
    """Inject the faults of a terrain one after another, and run the suite under each; stop after one that does not end."""
    for fault in faults.chosen(terrain):
        results = out / fault.id
        place = testbed(ground, terrain, results)
        ended, wrong = Ended(-1, "the fault was not injected", 0.0), list[str]()
        ground.note(terrain.id, fault.id)
        try:
            trial.inject(place, fault)
            ended = run(ground, terrain, results / "fast", "--fail-fast")
            wrong += faults.problems(fault, ended, terrain.seconds)
            if terrain.compares:
                wrong += faults.differing(ended, run(ground, terrain, results / "whole"))
        except (HarnessError, Unmet) as error:
            wrong.append(str(error))
        finally:
            left = trial.heal(place, fault)
        yield Tried(fault.id, ended, wrong, left)
        if left:
            return
        ground.note(terrain.id)


def testbed(ground: Ground, terrain: Terrain, out: Path) -> Bench:
    """Return the testbed of a terrain; results of the runs that show that the chain works are in `out`."""
    tries = itertools.count(1)

    def works() -> None:
        ended = run(ground, terrain, out / f"healed-{next(tries)}", "--only", WORKS)
        if ended.code != ExitCode.HOLDS:
            raise Unmet(f"expected the chain to hold, got {ended.verdict}")

    return bench(ground, works)


def undo(ground: Ground, terrain: Terrain) -> list[str]:
    """Undo a terrain; return what is left of it."""
    left = [undone(ground, difference) for difference in reversed(terrain.differences)]
    return [why for why in left if why]


def undo_left(ground: Ground) -> str:
    """Undo what a killed command has left on a cluster; return what that was, "" for nothing.

    Raises:
        SetupError: it cannot be undone (exit code CLUSTER).

    """
    terrain_id, fault_id = ground.noted()
    if not terrain_id:
        return ""
    what = f"terrain {terrain_id}{f' and fault {fault_id}' if fault_id else ''}"
    terrain = next((each for each in TERRAINS if each.id == terrain_id), None)
    fault = next((each for each in faults.FAULTS if each.id == fault_id), None)
    known = terrain is not None and (fault is not None or not fault_id)
    left = [] if known else ["no record of it"]
    if fault and known:
        left += filter(None, [trial.heal(bench(ground), fault)])
    if terrain and known:
        left += undo(ground, terrain)
    if left:
        raise SetupError(f"the cluster has {what} of a killed command: {'; '.join(left)}; remove it", ExitCode.CLUSTER)
    ground.note("")
    return what


def undone(ground: Ground, difference: Difference) -> str:
    """Undo a difference, and wait until the cluster is as before; return "", or why it is not."""

    def over(ground: Ground) -> Result:
        return unmet("still so") if difference.in_effect(ground).met else met()

    why = ""
    for _ in range(HEAL_ATTEMPTS):
        try:
            difference.heal(ground)
            ground.until("the difference to end", over)
        except (HarnessError, Unmet) as error:
            why = str(error)
        else:
            return ""
    return why


def run(ground: Ground, terrain: Terrain, out: Path, *more: str) -> Ended:
    """Run the suite on the ground with the options of a terrain, and `more`, over the terrain's way to the API server."""
    with way.to(ground.kubeconfig, ground.context, terrain.way, ground.folder) as (kubeconfig, _):
        return _run(ground, kubeconfig, terrain, out, more)


def _run(ground: Ground, kubeconfig: Path, terrain: Terrain, out: Path, more: Iterable[str]) -> Ended:
    out.mkdir(parents=True, exist_ok=True)
    words = ["run", "--context", ground.context, "--kubeconfig", str(kubeconfig), "--no-html"]
    words += ["--out", str(out / RESULTS)]
    options = [word.format(nginx=ground.nginx, client=ground.client) for word in terrain.options]
    for option, image in (("--nginx-image", ground.nginx), ("--client-image", ground.client)):
        words += [] if option in options else [option, image]
    if terrain.overlay:
        overlay = out / "overlay.yaml"
        overlay.write_text(terrain.overlay, encoding="utf-8")
        words += ["--overlay", str(overlay)]
    began = time.monotonic()
    with (out / "output.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "kubechain", *words, *options, *more],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        with rigs.ending(child):
            code = child.wait(RUN_SECONDS)
    seconds = time.monotonic() - began
    record = _results(out)
    claims = {claim["id"]: (claim["outcome"], claim["message"] or "") for claim in record.get("claims", [])}
    link = record.get("firstBrokenLink") or ""
    return Ended(code, record.get("verdict") or _last_line(out), seconds, claims, link)


def environment() -> dict[str, str]:
    """Return the environment of the runs: what make or the user has set is about this command, except the cache."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX) or name == f"{PREFIX}CACHE"}


def _results(out: Path) -> Json:
    path = out / RESULTS / "run.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _last_line(out: Path) -> str:
    lines = (out / "output.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"
