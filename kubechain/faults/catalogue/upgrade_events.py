"""Further faults during an upgrade: DNS of one Node, and a Deployment that somebody pauses."""

from __future__ import annotations

from kubechain.claims.claim import Link
from kubechain.core.errors import HarnessError
from kubechain.faults.catalogue.upgrade import MEASURED, OUTAGE_SECONDS, OneTimeChange, TemporaryOutage, witnesses
from kubechain.faults.fault import Fault
from kubechain.faults.testbed import Testbed
from kubechain.workload.manifests import WEB


def dns_address(testbed: Testbed) -> dict[str, str]:
    """Return the clusterIP of the cluster's DNS as the field {address} of a script."""
    service = testbed.api.get("Service", "kube-system", "kube-dns")
    if service is None:
        raise HarnessError("testbed: no Service kube-dns in kube-system")
    return {"address": str(service.at("spec.clusterIP"))}


def pause_deployment(testbed: Testbed) -> None:
    """Pause the rollout of the witnesses' Deployment."""
    testbed.api.patch("Deployment", witnesses(testbed), WEB, {"spec": {"paused": True}})


FAULTS = (
    Fault(
        "upgrade-dns-of-a-node-away",
        "upgrade",
        f"the DNS queries of the Pods on one worker are lost for {OUTAGE_SECONDS} s",
        Link.DNS,
        TemporaryOutage(
            "worker",
            "iptables -w -t raw -I PREROUTING -d {address} -p udp --dport 53 -j DROP",
            "iptables -w -t raw -D PREROUTING -d {address} -p udp --dport 53 -j DROP",
            dns_address,
        ),
        ("DURING-DNS-010",),
        MEASURED,
        lasting=False,
    ),
    Fault(
        "upgrade-deployment-paused",
        "upgrade",
        "the rollout of the witnesses' Deployment is paused",
        Link.DEPLOYMENT,
        OneTimeChange(pause_deployment),
        ("DURING-DEPLOYMENT-010", "AFTER-DEPLOYMENT-010"),
        r"Deployment web with paused true",
        lasting=False,
    ),
)
