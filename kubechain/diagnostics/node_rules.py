"""The rules of kube-proxy on the Nodes for the Services of a namespace; only of a kind cluster of this project."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from kubechain.claims.claim import Link
from kubechain.core.errors import HarnessError
from kubechain.core.process import run

# Links at which a packet meets the rules.
LINKS = frozenset({Link.CLUSTERIP, Link.NODEPORT, Link.DNS, Link.ROLLOUT, Link.HEALING, Link.NODES, Link.DELETION})
MOST_NODES, MOST_RULES, RULES_SECONDS = 4, 40, 5.0
# In each mode of kube-proxy, a rule names the Service as NAMESPACE/NAME: in iptables by its comment, in nftables by its chain,
# after a hash.
# https://kubernetes.io/docs/reference/networking/virtual-ips/
DUMP = "iptables-save -t nat; ip6tables-save -t nat; nft list table ip kube-proxy; nft list table ip6 kube-proxy"


def rules(docker: Path, nodes: Sequence[str], namespace: str) -> str:
    """Return the rules that name a Service of a namespace, Node by Node; `docker` is the client of the engine of the Nodes."""
    with ThreadPoolExecutor(MOST_NODES) as pool:
        dumps = list(pool.map(partial(_of, docker, namespace), nodes[:MOST_NODES]))
    left = [f"... and {len(nodes) - MOST_NODES} more Nodes"] if len(nodes) > MOST_NODES else []
    return "\n".join([*(line for lines in dumps for line in lines), *left])


def _of(docker: Path, namespace: str, node: str) -> list[str]:
    # A table that is not there is an error of its own command; the others print theirs.
    try:
        done = run([docker, "exec", node, "sh", "-c", f"({DUMP}) 2>/dev/null; true"], timeout=RULES_SECONDS)
    except HarnessError as error:
        return [f"{node}: no rules could be read: {error}"]
    if done.status:
        return [f"{node}: no rules could be read: {done.last_words}"]
    names = re.compile(rf"(?:[\s\"]|-[A-Z0-9]+-){re.escape(namespace)}/")
    found = [line.strip() for line in done.stdout.splitlines() if names.search(line)]
    left = [f"  ... and {len(found) - MOST_RULES} more rules"] if len(found) > MOST_RULES else []
    return [f"{node}:", *(f"  {line}" for line in found[:MOST_RULES] or [f"no rule for a Service of {namespace}"]), *left]
