"""A record: one misbehaviour of a cluster, and the only ends that a command may come to on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kubechain.claims.claim import Link
from kubechain.core.errors import ExitCode
from tests.hostile.cluster import Cluster
from tests.hostile.tcp_proxy import Mode

# Claims from the creation of the Deployment to its cascading deletion, over every way to the Service.
CLAIMS = (
    "CHAIN-DEPLOYMENT-010,CHAIN-DEPLOYMENT-020,CHAIN-DEPLOYMENT-030,CHAIN-DEPLOYMENT-070,CHAIN-DEPLOYMENT-090,"
    "CHAIN-REPLICASET-010,CHAIN-REPLICASET-020,CHAIN-REPLICASET-050,CHAIN-PODS-010,CHAIN-PODS-020,CHAIN-PODS-040,"
    "CHAIN-PODS-050,CHAIN-PODS-060,CHAIN-PODS-070,CHAIN-PODS-120,CHAIN-PODS-160,CHAIN-IMAGE-010,CHAIN-SERVICE-010,"
    "CHAIN-SERVICE-060,CHAIN-SERVICE-110,CHAIN-ENDPOINTS-010,CHAIN-ENDPOINTS-020,CHAIN-ENDPOINTS-100,CHAIN-CLUSTERIP-010,"
    "CHAIN-CLUSTERIP-020,CHAIN-NODEPORT-010,CHAIN-NODEPORT-030,CHAIN-API-010,CHAIN-ENV-010,CHAIN-DNS-010,"
    "CHAIN-DELETION-010,CHAIN-DELETION-020,CHAIN-DELETION-040,CHAIN-DELETION-050,CHAIN-DELETION-070"
)
RUN = ("run", "--no-html", "--only", CLAIMS)
# For a chain that breaks: no timeout of a claim is waited for in full.
IMPATIENT = (*RUN, "--patience", "0.4")
DOCTOR = ("doctor",)
CLEAN = ("clean",)


@dataclass(frozen=True)
class Ending:
    """An exit code, and how the verdict line begins (of another command than `run`: what its output has)."""

    code: ExitCode
    line: str

    def __str__(self) -> str:
        """Return the ending as the document shows it."""
        return f"{int(self.code)} `{self.line}`"


HOLDS = Ending(ExitCode.HOLDS, "chain holds")
UNDECIDED = Ending(ExitCode.HARNESS, "no verdict")
UNREACHABLE = Ending(ExitCode.UNREACHABLE, "no verdict")
RIGHTS = Ending(ExitCode.RIGHTS, "no verdict")
CLEANUP = Ending(ExitCode.CLEANUP, "chain holds")


def broken(link: Link) -> Ending:
    """Return the end of a chain that is broken at a link."""
    return Ending(ExitCode.CHAIN_BROKEN, f"chain broken at {link}")


@dataclass(frozen=True)
class Record:
    """One misbehaviour.

    `text` says what the cluster does, `make` makes it do that, `allowed` are the only ends, `says` is what the verdict line
    or the output must have, `seconds` bound the command. `undeletable` says that the cluster keeps what is deleted.
    `network` is what lies between the command and the cluster, None for nothing.
    """

    id: str
    text: str
    make: Callable[[Cluster], object]
    allowed: tuple[Ending, ...] = (HOLDS,)
    says: str = ""
    command: tuple[str, ...] = RUN
    seconds: float = 120.0
    undeletable: bool = False
    short: bool = False
    network: Mode | None = None
