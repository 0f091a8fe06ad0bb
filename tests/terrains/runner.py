"""Makes a terrain on a cluster, runs the suite on it as on a stranger's cluster, and undoes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from kubechain.conditions.condition import Result, met, unmet
from kubechain.core.bundle import ROOT
from kubechain.core.errors import HarnessError, Unmet
from kubechain.core.settings import PREFIX
from kubechain.kube.objects import Json
from tests.terrains.ground import Ground
from tests.terrains.terrain import Difference, Ended, Terrain, problems

RUN_SECONDS = 1200.0
HEAL_ATTEMPTS = 5
# Folder of the results of a run, beside what it printed and was given.
RESULTS = "results"


def judged(ground: Ground, terrain: Terrain, out: Path) -> tuple[Ended, list[str]]:
    """Make a terrain, run the suite with its results in `out`, undo it; return how the run ended, and what is wrong with it."""
    ended = Ended(-1, "the terrain was not made", 0.0)
    wrong: list[str] = []
    out.mkdir(parents=True)
    try:
        for difference in terrain.differences:
            difference.inject(ground)
        for difference in terrain.differences:
            ground.until(f"terrain {terrain.id}", difference.in_effect)
        ended = run(ground, terrain, out)
        wrong = problems(terrain, ended)
    except (HarnessError, Unmet) as error:
        wrong = [str(error)]
    finally:
        for difference in reversed(terrain.differences):
            left = undone(ground, difference)
            wrong += [f"not undone: {left}"] if left else []
    return ended, wrong


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


def run(ground: Ground, terrain: Terrain, out: Path) -> Ended:
    """Run the suite on the ground with the options of a terrain."""
    words = ["run", "--context", ground.context, "--kubeconfig", str(ground.kubeconfig), "--no-html"]
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
            [sys.executable, "-m", "kubechain", *words, *options],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            code = child.wait(RUN_SECONDS)
        except BaseException:
            child.terminate()
            child.wait()
            raise
    seconds = time.monotonic() - began
    record = _results(out)
    claims = {claim["id"]: (claim["outcome"], claim["message"] or "") for claim in record.get("claims", [])}
    return Ended(code, record.get("verdict") or _last_line(out), seconds, claims)


def environment() -> dict[str, str]:
    """Return the environment of the runs: what make or the user has set is about this command, except the cache."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX) or name == f"{PREFIX}CACHE"}


def _results(out: Path) -> Json:
    path = out / RESULTS / "run.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _last_line(out: Path) -> str:
    lines = (out / "output.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"
