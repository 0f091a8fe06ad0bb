"""Faults of the cluster's DNS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kubechain.claims.claim import Link
from kubechain.conditions.condition import Result, expect
from kubechain.conditions.text import some, text
from kubechain.faults.fault import Fault
from kubechain.faults.injections import Kubelet, Patched, Rule
from kubechain.faults.testbed import Testbed
from kubechain.kube.objects import Json, KubeObject

SYSTEM, COREDNS, LABEL = "kube-system", "coredns", "k8s-app=kube-dns"
OURS = "svc.cluster.local"
# Namespaces of tests: of this suite, and of upstream's, which begin with the name of what is tested and end in a number.
TESTED = "(kubechain-.*|[a-z-]+-[0-9]+[.]svc[.].*)"
ODD = 'answer "{{ .Name }} 5 IN A 10.96.255.253"'
# What dig says of a name that no server knows: the last word of the search list goes to servers beyond the cluster.
NOTHING = "got (NXDOMAIN|SERVFAIL|timeout|REFUSED)"
WRONG = f'template IN A {OURS} {{\n        match "^web[.]"\n        answer "{{{{ .Name }}}} 5 IN A 10.96.255.253"\n    }}'


def servers(lab: Testbed) -> list[KubeObject]:
    """Return the Pods of the cluster's DNS that run, or will."""
    found = lab.api.list("Pod", SYSTEM, LABEL).items
    return [pod for pod in found if not (pod.deleting or pod.over)]


def restart(lab: Testbed) -> None:
    """Replace every server, so that it reads its configuration now and not within half a minute."""
    for pod in servers(lab):
        lab.api.delete("Pod", SYSTEM, pod.name, {"gracePeriodSeconds": 0})


@dataclass(frozen=True)
class Corefile:
    """CoreDNS with another configuration."""

    edit: Callable[[str], str]

    def inject(self, lab: Testbed) -> None:
        """Keep the Corefile, write the other, restart the servers."""
        config = lab.api.get("ConfigMap", SYSTEM, COREDNS)
        plain: str = config.at("data")["Corefile"] if config else ""
        (lab.folder / "Corefile").write_text(plain, encoding="utf-8")
        changed = self.edit(plain)
        lab.api.patch("ConfigMap", SYSTEM, COREDNS, {"data": {"Corefile": changed}})
        restart(lab)

    def took(self, lab: Testbed) -> Result:
        """Look at the ConfigMap, and whether the servers are ready."""
        config, kept = lab.api.get("ConfigMap", SYSTEM, COREDNS), lab.folder / "Corefile"
        changed = config is not None and kept.exists() and config.at("data")["Corefile"] != kept.read_text(encoding="utf-8")
        ready = [pod.is_true("Ready") for pod in servers(lab)]
        return expect(changed and bool(ready) and all(ready), f"changed: {text(changed)}, servers ready: {text(ready)}")

    def heal(self, lab: Testbed) -> None:
        """Put the Corefile back, restart the servers."""
        kept = lab.folder / "Corefile"
        if kept.exists():
            lab.api.patch("ConfigMap", SYSTEM, COREDNS, {"data": {"Corefile": kept.read_text(encoding="utf-8")}})
            kept.unlink()
            restart(lab)


def before_kubernetes(block: str) -> Corefile:
    """Return CoreDNS with a block that comes before the names of the cluster."""
    return Corefile(lambda text: text.replace("    kubernetes ", f"    {block}\n    kubernetes ", 1))


def replaced(old: str, new: str) -> Corefile:
    """Return CoreDNS with a part of its Corefile replaced."""
    return Corefile(lambda text: text.replace(old, new))


class OddServer:
    """One more server of the cluster's DNS, which answers with a wrong address."""

    NAME = "odd-dns"

    def inject(self, lab: Testbed) -> None:
        """Run it beside the others, with their labels."""
        config = f".:53 {{\n    ready\n    {WRONG}\n    kubernetes cluster.local in-addr.arpa\n}}\n"
        metadata = {"name": self.NAME, "labels": {"k8s-app": "kube-dns"}}
        lab.created({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"Corefile": config}}, SYSTEM)
        like = servers(lab)[0].at("spec")
        (container,) = like["containers"]
        volumes = [{"name": "config-volume", "configMap": {"name": self.NAME}}]
        mounts = [{"name": "config-volume", "mountPath": "/etc/coredns"}]
        own = {key: container[key] for key in ("name", "image", "args", "ports", "readinessProbe", "securityContext")}
        spec: Json = {"serviceAccountName": COREDNS, "dnsPolicy": "Default", "tolerations": [{"operator": "Exists"}]}
        spec |= {"containers": [{**own, "volumeMounts": mounts}], "volumes": volumes}
        lab.created({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, SYSTEM)

    def took(self, lab: Testbed) -> Result:
        """Look whether it is one of the Service's endpoints."""
        pod = lab.api.get("Pod", SYSTEM, self.NAME)
        return expect(pod is not None and pod.is_true("Ready"), f"no ready Pod {self.NAME}")

    def heal(self, lab: Testbed) -> None:
        """Take it away."""
        if lab.api.get("Pod", SYSTEM, self.NAME):
            lab.api.delete("Pod", SYSTEM, self.NAME, {"gracePeriodSeconds": 0})
        lab.removed("ConfigMap", self.NAME, SYSTEM)


def none_ready(lab: Testbed) -> Result:
    """No server is left."""
    left = [pod.name for pod in servers(lab)]
    return expect(not left, f"{some(left)} still there")


def template(kind: str, zone: str, match: str, rest: str) -> Corefile:
    """Return CoreDNS with a template for a record type."""
    return before_kubernetes(f'template IN {kind} {zone} {{\n        match "{match}"\n        {rest}\n    }}')


FAULTS = (
    Fault("dns-gone", "dns", "CoreDNS has no replica", Link.DNS,
          Patched("Deployment", SYSTEM, COREDNS, {"spec": {"replicas": 0}}, {"spec": {"replicas": 2}},
                  lambda found: found.at("spec.replicas") == 0, none_ready),
          ("CHAIN-DNS-010",), "got timeout"),
    Fault("dns-one-wrong", "dns", "one server of several answers wrong", Link.DNS, OddServer(),
          ("CHAIN-DNS-170",), r"got 10\.96\.255\.253"),
    Fault("dns-wrong-zone", "dns", "CoreDNS serves another zone", Link.DNS,
          replaced("kubernetes cluster.local", "kubernetes cluster.wrong"), ("CHAIN-DNS-010",), NOTHING),
    Fault("dns-wrong-address", "dns", "CoreDNS answers a wrong address for every Service", Link.DNS,
          template("A", OURS, f".*[.]{TESTED}", ODD), ("CHAIN-DNS-010",), r"got 10\.96\.255\.253"),
    Fault("dns-name-denied", "dns", "one name does not exist", Link.DNS,
          template("A", OURS, "^web[.]", "rcode NXDOMAIN"), ("CHAIN-DNS-010",), NOTHING),
    Fault("dns-names-invented", "dns", "names that do not exist have an address", Link.DNS,
          template("A", OURS, "^absent[.]", ODD), ("CHAIN-DNS-060",), "got NOERROR"),
    Fault("dns-srv-missing", "dns", "no name has an SRV record", Link.DNS,
          template("SRV", OURS, ".*", "rcode NXDOMAIN"), ("CHAIN-DNS-080",), r"SRV -> port \d+ of \S+, got "),
    Fault("dns-ptr-wrong", "dns", "addresses lead back to another name", Link.DNS,
          template("PTR", "in-addr.arpa", ".*",
                   'answer "{{ .Name }} 5 IN PTR wrong.cluster.local."'), ("CHAIN-DNS-090",), r"got wrong\.cluster\.local"),
    Fault("dns-stale", "dns", "CoreDNS remembers answers for an hour", Link.DNS,
          Corefile(lambda text: text.replace("ttl 30", "ttl 3600")
                   .replace("disable success cluster.local", "success 9984 3600 3600")),
          ("CHAIN-DNS-150",), r"renewed -> \S+, got \d"),
    Fault("dns-tcp-dropped", "dns", "DNS over TCP is dropped", Link.DNS,
          Rule("raw", "PREROUTING -p tcp --dport 53 -j DROP", "all"), ("CHAIN-DNS-160",), "got timeout"),
    Fault("dns-search-wrong", "dns", "Pods search names in another domain", Link.DNS,
          Kubelet("workers", "clusterDomain", "cluster.wrong"), ("CHAIN-DNS-010",), NOTHING),
    Fault("dns-server-wrong", "dns", "Pods ask an address where no DNS is", Link.DNS,
          Kubelet("workers", "clusterDNS", "[10.96.255.254]"), ("CHAIN-DNS-010",), "got timeout"),
)  # fmt: skip
