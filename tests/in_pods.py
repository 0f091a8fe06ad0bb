"""Runs the command, also against a healthy cluster on loopback, as a Pod of deploy/ does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kubechain.cli import work
from kubechain.cli.parser import parse
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError
from tests.hostile.access import CONTEXT
from tests.hostile.cluster import Cluster

# Claims of several links, some of which share a scenario.
CLAIMS = (
    "CHAIN-DEPLOYMENT-010,CHAIN-REPLICASET-010,CHAIN-PODS-010,CHAIN-PODS-040,CHAIN-SERVICE-010,CHAIN-ENDPOINTS-010,"
    "CHAIN-CLUSTERIP-010,CHAIN-DNS-010,CHAIN-DELETION-010,CHAIN-DELETION-020"
)


def refused(*words: str) -> str:
    """Return the line with which a command line is refused, as a usage error, in this process."""
    with pytest.raises(SetupError) as raised:
        work(parse(words))
    assert raised.value.code == ExitCode.USAGE
    assert "\n" not in str(raised.value)
    return str(raised.value)


def kubechain(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command, with its results in `folder`/out."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KUBECHAIN_")}
    kept |= {"KUBECHAIN_OUT": str(folder / "out"), "KUBECHAIN_CACHE": str(folder / "cache"), **environment}
    argv = [sys.executable, "-m", "kubechain", *words]
    return subprocess.run(argv, cwd=ROOT, env=kept, capture_output=True, text=True, check=False, timeout=300)


def run(made: Cluster, folder: Path, *words: str, only: str = CLAIMS, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run CLAIMS with more options on the cluster."""
    where = ("--context", CONTEXT, "--kubeconfig", str(made.kubeconfig))
    return kubechain(folder, "run", "--no-html", "--only", only, *words, *where, **environment)
