"""A sampler on the machine of the run, in a process of its own, so that a busy harness does not delay it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kubechain.core.bundle import ROOT
from kubechain.core.process import OWNER, identity
from kubechain.kube import handover
from kubechain.kube.objects import Json


@dataclass
class LocalSampler:
    """A running sampler: the file of its plan, that of its samples, and its process."""

    plan: Path
    out: Path
    process: subprocess.Popen[bytes]

    def revise(self, plan: Json) -> None:
        """Have it sample another version of its plan, with the same routes at the same places."""
        new = self.plan.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(plan), encoding="utf-8")
        new.replace(self.plan)


@contextmanager
def local_sampler(plan: Json, out: Path, secrets: Path) -> Generator[LocalSampler]:
    """Run a sampler on this machine during the body, with its samples in a file, and its plan in the folder of secrets."""
    file = secrets / f"plan-{out.stem}.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(plan), encoding="utf-8")
    environment = {**os.environ, OWNER: identity()}
    words = [sys.executable, "-m", "kubechain.sampler", file, out.absolute()]
    process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.DEVNULL, env=environment, start_new_session=True)
    try:
        yield LocalSampler(file, out, process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for secret in (file, secrets / handover.HEADERS, secrets / handover.CLIENT) if plan["tls"] else (file,):
            secret.unlink(missing_ok=True)
