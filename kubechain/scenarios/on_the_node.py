"""curl on the Nodes of a kind cluster of this project, at the nodePort of localhost."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from kubechain.cluster.kind import Cluster
from kubechain.conditions.http import Page
from kubechain.conditions.text import text
from kubechain.core.errors import NotApplicable
from kubechain.core.process import run
from kubechain.kube.client import Api
from kubechain.kube.families import IPV4, family_of
from kubechain.kube.objects import KubeObject
from kubechain.observe.wait import Polled
from kubechain.probes.pod import CURL_FAILURES, NOT_FOUND, REQUEST_SECONDS
from kubechain.workload.chain import Chain

EXEC_SECONDS = 15.0
# https://kubernetes.io/docs/reference/command-line-tools-reference/kube-proxy/: --metrics-bind-address
MODE_URL = "http://localhost:10249/proxyMode"
CONFIG, SYSTEM = "kube-proxy", "kube-system"
RULE = "https://kubernetes.io/docs/reference/networking/virtual-ips/"


@dataclass(frozen=True)
class OnTheNode:
    """The machines of a kind cluster."""

    cluster: Cluster

    def curl(self, node: str, url: str) -> Page:
        """Return what `curl URL` answers on a Node; NotApplicable if the Node has no curl."""
        words = ["exec", node, "curl", "-g", "-s", "-f", "--noproxy", "*", "-m", str(REQUEST_SECONDS), url]
        done = run([self.cluster.docker.client, *words], timeout=EXEC_SECONDS)
        if done.status >= NOT_FOUND - 1:
            raise NotApplicable(f"needs curl on Node {node}: {done.last_words}")
        shown = f"{url} on Node {node}"
        if done.status:
            return Page(shown, failure=CURL_FAILURES.get(done.status, "other"), detail=f"curl exit {done.status}")
        return Page(shown, 200, done.stdout)

    def curl_localhost(self, chain: Chain, port: int) -> Polled[list[Page]]:
        """Return a source of what `curl localhost:PORT` answers on each Node."""
        nodes = self.cluster.nodes()
        at = f"http://localhost:{port}/"
        return Polled(f"answers at {at} on each Node", lambda: [self.curl(node, at) for node in nodes], chain.waiter.clock)

    def require_promised(self, api: Api, cluster_ip: str) -> None:
        """Raise NotApplicable where nothing is promised of localhost: it is of kube-proxy in the mode iptables, for IPv4."""
        if family_of(cluster_ip) != IPV4:
            raise NotApplicable(f"needs a Service with an IPv4 address: no nodePort is at localhost over IPv6 ({RULE})")
        answers = [self.curl(node, MODE_URL) for node in self.cluster.nodes()]
        # Of a kube-proxy that does not say, as one that stands still, the claim decides.
        others = {page.body.strip() for page in answers if not page.failure} - {"iptables"}
        if others:
            raise NotApplicable(f"needs kube-proxy in the mode iptables, not {', '.join(sorted(others))}: KEP-3866 ({RULE})")
        found = api.get("ConfigMap", SYSTEM, CONFIG)
        config = KubeObject(yaml.safe_load(found.at("data", {}).get("config.conf", "")) or {} if found else {})
        if config.at("iptables.localhostNodePorts") is False:
            raise NotApplicable("needs kube-proxy with iptables.localhostNodePorts, which is false")
        if config.at("nodePortAddresses"):
            raise NotApplicable(f"needs kube-proxy without nodePortAddresses, which are {text(config.at('nodePortAddresses'))}")
