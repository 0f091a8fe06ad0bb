"""Runs claims as a user with the rights of a role except one: the claims that need it are skipped, and the others pass."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kubechain.claims.claim import Claim
from kubechain.claims.requirements import rights_of
from kubechain.kube.rights import Right
from reports import rights
from tests import rigs
from tests.rights.account import Admin, account, named_anew, without

# A claim of each way in which claims reach the cluster, to pass where it does not need the right.
SAMPLE = (
    "CHAIN-PODS-010",
    "CHAIN-PODS-120",
    "CHAIN-NODEPORT-010",
    "CHAIN-API-010",
    "CHAIN-API-020",
    "CHAIN-API-040",
    "CHAIN-DNS-010",
)


def needs(role: rights.Role, claim: Claim, right: Right) -> bool:
    """Whether a claim of a role is skipped without a right."""
    return right in (rights_of(claim.needs, inside=True) if role.inside else claim.rights)


def trouble(role: rights.Role, right: Right, admin: Admin, words: Sequence[str]) -> tuple[int, list[str]]:
    """Return how many claims were skipped without the right, and what is wrong with the outcomes."""
    expected = {claim.id for claim in role.claims if needs(role, claim, right)}
    name, role, objects = named_anew(role)
    without(objects, [(right.group, right.resource, right.verb)])
    with tempfile.TemporaryDirectory() as scratch, account(admin, objects, name, Path(scratch)) as kubeconfig:
        options = ["--context", name, "--kubeconfig", str(kubeconfig), "--out", f"{scratch}/out", "--cache", f"{scratch}/cache"]
        options += ["--namespace", name] if role.inside else []
        chosen = ",".join(sorted(expected | {claim.id for claim in role.claims if claim.id in SAMPLE}))
        command = [sys.executable, "-m", "kubechain", "run", "--only", chosen, *options, *words]
        status, printed = rigs.done(command, dict(os.environ), seconds=900)
        try:
            run = json.loads(Path(scratch, "out", "run.json").read_text(encoding="utf-8"))
        except OSError:
            return 0, [f"no results (exit status {status}): {printed[-1000:]}"]
    found = {each["id"]: (each["outcome"], each["message"] or "") for each in run["claims"]}
    skipped = {name for name, (outcome, why) in found.items() if outcome == "skipped" and str(right) in why}
    wrong = [f"{name} is not skipped: {found[name]}" for name in sorted(expected - skipped)]
    wrong += [f"{name} is skipped: {found[name]}" for name in sorted(skipped - expected)]
    wrong += [f"{name} {result}: {why}" for name, (result, why) in sorted(found.items()) if result not in ("passed", "skipped")]
    return len(skipped), wrong
