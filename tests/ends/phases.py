"""The phases of a run at which a signal arrives."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubechain.core.errors import ExitCode

SHARED = "CHAIN-PODS-010,CHAIN-SERVICE-010"
OWN = "CHAIN-DEPLOYMENT-100,CHAIN-SERVICE-010"


@dataclass(frozen=True)
class Phase:
    """A phase of a run: the hook, the fixture (once it is made) or the function (before it runs) at which it is hit.

    `child` is part of the command line of a program of the run, which shows the phase if nothing else does. `only` are the
    claims of the run.
    `late` says that the results decide the exit code by then: a signal changes nothing.
    """

    name: str
    hook: str = ""
    fixture: str = ""
    function: str = ""
    child: str = ""
    only: str = SHARED
    late: bool = False
    # Settings of the run, and its exit codes if the program is killed.
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    bereft: tuple[int, ...] = ()

    @property
    def stops(self) -> bool:
        """Whether the run is stopped at the phase."""
        return bool(self.hook or self.fixture or self.function)

    def owner(self) -> tuple[Any, str]:
        """Return the module or the class that has `function`, and its name there."""
        module, _, path = self.function.partition(":")
        *owners, name = path.split(".")
        owner: Any = importlib.import_module(module)
        for each in owners:
            owner = getattr(owner, each)
        return owner, name

    @property
    def code(self) -> int:
        """The exit code of a run that a signal reaches in this phase."""
        return int(ExitCode.HOLDS if self.late else ExitCode.INTERRUPTED)


ALL = (
    Phase("configuration", hook="configure"),
    Phase("collection", hook="collection"),
    Phase("connection", function="kubechain.cluster.existing:identity"),
    Phase("chain half made", function="kubechain.workload.namespace:furnish"),
    Phase("shared chain", fixture="shared_chain"),
    Phase("fresh chain", fixture="own_chain", only=OWN),
    Phase("scenario", fixture="without_service", only="CHAIN-DELETION-070,CHAIN-SERVICE-010"),
    Phase("claim", hook="call"),
    Phase(
        "program of a claim",
        function="kubechain.workload.sources:loopback",
        child="port-forward",
        only="CHAIN-API-040",
        bereft=(0, 10),
    ),
    Phase("teardown", hook="teardown"),
    Phase("last teardown", function="kubechain.workload.factory:ChainFactory.drop_spare"),
    Phase("report", hook="report", late=True),
    Phase("HTML report", child="allure", environment={"KUBECHAIN_HTML": "1"}, late=True, bereft=(0,)),
    Phase("publication", function="kubechain.core.redact_files:folder", late=True),
    Phase("clean-up", function="kubechain.pytest.ending:clean_up", late=True),
)
# With a kind cluster of the run's own.
OWN_CLUSTER = (
    Phase("kind create", child="kind create cluster", bereft=(int(ExitCode.CLUSTER),)),
    Phase("image loading", function="kubechain.cluster.kind:Cluster.load"),
    Phase("claim on its own cluster", hook="call"),
    Phase("cluster deletion", child="rm --force --volumes", late=True, bereft=(int(ExitCode.CLEANUP),)),
)
PHASES = {phase.name: phase for phase in (*ALL, *OWN_CLUSTER)}
