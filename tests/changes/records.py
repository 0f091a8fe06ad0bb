"""The changes: what is run, what puts it back, and what `kubechain during` must say. Each runs on one machine with the engine."""

from __future__ import annotations

from dataclasses import dataclass

# In scripts, `on NODE COMMAND...` runs a command on a node, and `kubectl` runs on the control plane; $NODES are all nodes.
ROLLED = "kubectl -n kube-system rollout restart {0} && kubectl -n kube-system rollout status {0} --timeout=180s"
MODE = (
    "kubectl -n kube-system get configmap kube-proxy -o yaml | sed 's/^    mode: .*/    mode: {0}/' "
    "| kubectl -n kube-system apply -f - && "
) + ROLLED.format("daemonset/kube-proxy")
ASIDE = "/kind/leftovers"


@dataclass(frozen=True)
class Change:
    """A change: `go` is what must be said of it, None if that is only recorded; of a no-go, one of `suffers` must fail."""

    id: str
    title: str
    script: str
    go: bool | None
    suffers: tuple[str, ...] = ()
    undo: str = ""


DATA_PLANE = ("DURING-CLUSTERIP-010", "DURING-NODEPORT-010", "DURING-DNS-010")
CHANGES = (
    Change("nothing", "nothing for 60 s", "sleep 60", go=True),
    Change("coredns-replaced", "CoreDNS is rolled out again", ROLLED.format("deployment/coredns"), go=True),
    Change(
        "coredns-killed",
        "every Pod of CoreDNS is deleted at once, without a grace period",
        "kubectl -n kube-system delete pod -l k8s-app=kube-dns --grace-period=0 --force && "
        "kubectl -n kube-system rollout status deployment/coredns --timeout=180s",
        go=False,
        suffers=("DURING-DNS-010",),
    ),
    Change(
        "cni-restarted",
        "the DaemonSets of the Pod network are rolled out again",
        "for each in $(kubectl -n kube-system get daemonset -o name | grep -v kube-proxy); do "
        + ROLLED.format("$each")
        + "; done",
        go=True,
    ),
    Change("proxy-restarted", "kube-proxy is rolled out again", ROLLED.format("daemonset/kube-proxy"), go=True),
    Change(
        "containerd-restarted",
        "containerd is restarted on one node after another",
        "for node in $NODES; do on $node systemctl restart containerd && sleep 5; done",
        go=True,
    ),
    Change(
        "node-port-lost",
        "the nodePorts of one worker are lost for 3 s",
        "node=$(echo $NODES | tr ' ' '\\n' | grep worker | tail -1); sleep 10; "
        "on $node sh -c 'iptables -w -t raw -I PREROUTING -p tcp --dport 30000:32767 -j DROP; sleep 3; "
        "iptables -w -t raw -D PREROUTING -p tcp --dport 30000:32767 -j DROP'",
        go=False,
        suffers=("DURING-NODEPORT-010",),
    ),
    Change(
        "proxy-nftables",
        "kube-proxy changes from iptables to nftables, and removes the rules of iptables as it starts",
        MODE.format("nftables"),
        go=None,
        suffers=DATA_PLANE,
        undo=MODE.format("iptables"),
    ),
    Change(
        "proxy-nftables-leftovers",
        "kube-proxy changes from iptables to nftables, and the rules of iptables come back",
        f"for node in $NODES; do on $node sh -c 'iptables-save -t nat > {ASIDE}'; done; "
        + MODE.format("nftables")
        + f"; for node in $NODES; do on $node sh -c 'iptables-restore -w -T nat < {ASIDE}'; done",
        go=None,
        suffers=DATA_PLANE,
        undo=MODE.format("iptables"),
    ),
    Change(
        "proxy-rules-flushed",
        "the rules of kube-proxy for Services are flushed on one worker for 3 s",
        "node=$(echo $NODES | tr ' ' '\\n' | grep worker | tail -1); sleep 10; "
        f"on $node sh -c 'iptables-save -t nat > {ASIDE}; iptables -w -t nat -F KUBE-SERVICES; sleep 3; "
        f"iptables-restore -w -T nat < {ASIDE}'",
        go=False,
        suffers=("DURING-CLUSTERIP-010", "DURING-NODEPORT-010"),
    ),
)


def script_of(script: str, docker: str, nodes: list[str]) -> str:
    """Return a whole shell script: what scripts of changes call is defined at its beginning."""
    control_plane = next(node for node in nodes if "control-plane" in node)
    return (
        f"set -e; NODES='{' '.join(nodes)}'; on() {{ node_of_on=$1; shift; {docker} exec -i $node_of_on \"$@\"; }}; "
        f'kubectl() {{ on {control_plane} kubectl --kubeconfig=/etc/kubernetes/admin.conf "$@"; }}; {script}'
    )
