"""What this machine asks of the API server of a kind cluster: requests by its audit log, bytes by counters of its packets."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubechain.bench.records import LoadRecord
from kubechain.cluster.kind import API_PORT
from kubechain.cluster.kind_config import CONFIG
from kubechain.core.bundle import ROOT
from kubechain.images.docker import Docker

POLICY = ROOT / "images" / "audit.yaml"
POLICY_ON_NODE = "/etc/kubernetes/audit-policy.yaml"
LOGS = "/var/log/kubernetes"
LOG = f"{LOGS}/audit.log"
# In MB: more than the log of a measurement, so that it is never rotated away.
LOG_SIZE = "4096"
# Rules without a target, which only count: packets from the gateway to the API server, and back. By the comment they are found.
COMMENT = "kubechain-bench"
RULES = {
    "INPUT": "--protocol tcp --source {gateway} --dport {port}",
    "OUTPUT": "--protocol tcp --destination {gateway} --sport {port}",
}


def configuration(folder: Path) -> Path:
    """Write the configuration of a kind cluster whose API server has an audit log into the folder; return its path."""
    config: Any = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["nodes"][0]["extraMounts"] = [{"hostPath": str(POLICY), "containerPath": POLICY_ON_NODE, "readOnly": True}]
    arguments = {"audit-policy-file": POLICY_ON_NODE, "audit-log-path": LOG, "audit-log-maxsize": LOG_SIZE}
    volumes = [
        {"name": "audit-policy", "hostPath": POLICY_ON_NODE, "mountPath": POLICY_ON_NODE, "readOnly": True, "pathType": "File"},
        {"name": "audit-log", "hostPath": LOGS, "mountPath": LOGS, "pathType": "DirectoryOrCreate"},
    ]
    server = {"extraArgs": [{"name": name, "value": value} for name, value in arguments.items()], "extraVolumes": volumes}
    patch = {"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration", "apiServer": server}
    config["kubeadmConfigPatches"].append(yaml.safe_dump(patch))
    path = folder / "bench.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Reading:
    """The counters at one moment; `log` is the size of the audit log, None if there is none."""

    sent: int
    received: int
    log: int | None


@dataclass(frozen=True)
class ApiLoad:
    """The API server on a control plane node; `gateway` is the address from which the requests of this machine come."""

    docker: Docker
    node: str
    gateway: str

    @contextmanager
    def counting(self) -> Generator[None]:
        """Count packets during the body."""
        self._rules("-I")
        try:
            yield
        finally:
            self._rules("-D")

    def read(self) -> Reading:
        """Return the counters now."""
        size = self._run(f"stat -c %s {LOG} 2> /dev/null || true").strip()
        return Reading(self._bytes("INPUT"), self._bytes("OUTPUT"), int(size) if size else None)

    def since(self, before: Reading) -> LoadRecord:
        """Return what was asked since a reading."""
        now = self.read()
        requests = watches = None
        if before.log is not None and now.log is not None:
            lines = self._run(f"tail -c +{before.log + 1} {LOG} | head -c {now.log - before.log}").splitlines()
            requests, watches = count(lines, self.gateway)
        return LoadRecord(
            requests=requests, watches=watches, bytes_sent=now.sent - before.sent, bytes_received=now.received - before.received
        )

    def _bytes(self, chain: str) -> int:
        # Packets and bytes are the first two columns.
        return int(self._run(f"iptables -w -nvxL {chain} | grep -- {COMMENT}").split()[1])

    def _rules(self, action: str) -> None:
        for chain, rule in RULES.items():
            words = rule.format(gateway=self.gateway, port=API_PORT)
            self._run(f"iptables -w {action} {chain} {words} -m comment --comment {COMMENT}")

    def _run(self, script: str) -> str:
        return self.docker.call("exec", self.node, "sh", "-c", script)


def of_cluster(docker: Docker, node: str) -> ApiLoad:
    """Return the API server on a control plane node of this machine's container engine."""
    route = docker.call("exec", node, "ip", "-4", "route", "show", "default").split()
    return ApiLoad(docker, node, route[route.index("via") + 1])


def count(lines: Iterable[str], address: str) -> tuple[int, int]:
    """Return how many requests from an address are in lines of an audit log, and how many of them are watches."""
    verbs: dict[str, str] = {}
    for line in lines:
        if address in line:
            event: dict[str, Any] = json.loads(line)
            if event.get("sourceIPs") == [address]:
                # A watch has an event when it begins, and another when it ends.
                verbs[event["auditID"]] = event["verb"]
    return len(verbs), sum(verb == "watch" for verb in verbs.values())
