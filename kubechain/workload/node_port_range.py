"""The range of nodePorts of a cluster, which no object names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubechain.claims.obstacles import refuser
from kubechain.core.errors import NotApplicable, Unmet
from kubechain.kube.errors import ApiRefused
from kubechain.workload import service_manifests
from kubechain.workload.chain import Chain
from kubechain.workload.own_cluster import is_own
from kubechain.workload.released import ALLOCATED

NODE_PORTS = (30000, 32767)
# The lowest and the highest port: a range has one of them at most, unless it is the range of all ports.
BORDERS = (1, 65535)
RANGE = re.compile(r"valid ports is (\d+)-(\d+)")


@dataclass(frozen=True)
class PortRange:
    """The range of nodePorts, both included, and a port out of it, which the API server refused."""

    first: int
    last: int
    outside: int


def node_port_range(chain: Chain) -> PortRange:
    """Return the range of nodePorts, as the API server names it when it refuses a Service.

    A dry run would not tell: it allocates nothing, and accepts every port. A Service that is accepted is deleted at once.

    Raises:
        NotApplicable: it accepts the lowest and the highest port: every port is in the range.
        ApiRefused: it refuses who asks (401, 403), or a policy or webhook refuses the Service.
        Unmet: it does so on a cluster of this project, refuses the Service as something else than invalid, or names no range.

    """
    for port in BORDERS:
        manifest = service_manifests.service_at(name="bordering", node_port=port)
        try:
            service = chain.api.create(manifest, chain.namespace)
        except ApiRefused as refused:
            if ALLOCATED in refused.detail:
                continue
            if refused.of_the_account or refuser(refused.detail):
                raise
            named = RANGE.search(refused.detail)
            if named is None or (refused.status, refused.reason) != (422, "Invalid"):
                raise Unmet(f"expected 422 Invalid with the range of valid ports for nodePort {port}, got {refused}") from refused
            return PortRange(int(named[1]), int(named[2]), port)
        chain.api.delete("Service", chain.namespace, service.name, {"preconditions": {"uid": service.uid}}, missing_ok=True)
        chain.kept(manifest, service)
    accepted = f"nodePorts {BORDERS[0]} and {BORDERS[1]} are accepted"
    if is_own(chain):
        raise Unmet(f"expected 422 Invalid for a nodePort outside {NODE_PORTS[0]}-{NODE_PORTS[1]}, got none: {accepted}")
    raise NotApplicable(f"no port is outside the range of nodePorts: {accepted}")


def node_ports_of(chain: Chain) -> tuple[int, int]:
    """Return the first and the last port of the range of nodePorts: the default on a cluster that this project made.

    Raises:
        NotApplicable, Unmet: as for `node_port_range`.

    """
    if is_own(chain):
        return NODE_PORTS
    ports = node_port_range(chain)
    return ports.first, ports.last
