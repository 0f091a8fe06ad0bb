"""`make canary CONTEXT=NAME`: look for secrets in everything that runs on a real cluster write and print.

The runs use the cluster as an existing one; the secrets are planted on the way to it. Arguments are names of runs.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from kubechain.cluster import existing
from kubechain.core import cli, settings
from kubechain.core.default_folders import PROJECT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.settings import Settings
from kubechain.images import resolve
from tests.api_proxy import serving
from tests.canary.forms import MAKERS
from tests.canary.keys import Keys
from tests.canary.plants import PLACES, Plants
from tests.canary.rig import Result, Rig, runs
from tests.certificates import authority, signed

MOST = 20


def work() -> int:
    """Execute the runs; return the exit code."""
    given = settings.load()
    if not given.context:
        raise SetupError("CONTEXT is missing: name the context of a cluster", ExitCode.USAGE)
    with tempfile.TemporaryDirectory(prefix=f"{PROJECT}-canary-") as folder:
        return ExitCode.HOLDS if look(Path(folder), given, sys.argv[1:]) else ExitCode.CHAIN_BROKEN


def look(folder: Path, given: Settings, names: list[str]) -> bool:
    """Execute the runs of these names, [] for all, in a folder; return whether nothing leaked and each ended as it should."""
    signer = authority(folder)
    tls = signed(folder, signer, "server").server_context()
    keys, plants = Keys(folder, str(time.time()), signer), Plants(str(time.time()))
    named = {"--nginx-image": given.nginx_image, "--client-image": given.client_image}
    options = [f"{option}={image}" for option, image in named.items() if image]
    good, artifacts = True, 0
    secrets = folder / "secrets"
    kubeconfig = existing.kubeconfig(str(given.kubeconfig or ""), given.context, secrets)
    with serving(kubeconfig, given.context, secrets, plants, tls) as url:
        rig = Rig(folder, url, plants, keys, options, keys.pull_secret(resolve.public_nginx(given)))
        for run in runs(folder / "snapshot.json"):
            if not names or run.name in names:
                began = time.monotonic()
                done = rig.execute(run)
                show(done, time.monotonic() - began)
                good, artifacts = good and done.passed, artifacts + len(done.artifacts)
    planted = len(plants.sown) * len(MAKERS) + len(keys.secrets)
    sys.stdout.write(
        f"{len(plants.sown)} of {len(PLACES)} places with {len(MAKERS)} forms each and {len(keys.secrets)} secrets that the runs "
        f"know, looked for in {artifacts} artifacts: {planted * artifacts} pairs\n"
    )
    return good


def show(done: Result, seconds: float) -> None:
    """Print how a run ended, and what leaked."""
    found = f"{len(done.artifacts)} artifacts, {len(done.leaks)} leaks, {len(done.readable)} files open to others"
    sys.stdout.write(f"{done.run.name}: exit status {done.status}, {found} ({seconds:.0f} s)\n")
    for line in [*done.leaks[:MOST], *done.readable[:MOST]]:
        sys.stdout.write(f"  {line}\n")
    if done.status not in done.run.statuses:
        sys.stdout.write(done.artifacts["what it printed"][-3000:])
    sys.stdout.flush()


if __name__ == "__main__":
    cli.main(work)
