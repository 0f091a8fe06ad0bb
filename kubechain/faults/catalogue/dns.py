"""Faults of the cluster's DNS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kubechain.claims.claim import Link
from kubechain.conditions.condition import Result, expect
from kubechain.conditions.text import some, text
from kubechain.faults.fault import Fault
from kubechain.faults.injections import IptablesRule, KubeletSetting, Patched
from kubechain.faults.testbed import Testbed
from kubechain.kube.objects import Json, KubeObject

SYSTEM, COREDNS, LABEL = "kube-system", "coredns", "k8s-app=kube-dns"
ZONE = "svc.cluster.local"
# Names in the namespaces of this suite, and of upstream's tests, which are named NAME-NUMBER.
TESTED = "(kubechain-.*|[a-z-]+-[0-9]+[.]svc[.].*)"
WRONG_ANSWER = 'answer "{{ .Name }} 5 IN A 10.96.255.253"'
# What dig reports for an unknown name: the last entry of the search list is resolved by servers outside the cluster.
UNKNOWN_NAME = "got (NXDOMAIN|SERVFAIL|timeout|REFUSED)"


def block(kind: str, zone: str, match: str, rest: str) -> str:
    """Return a template block of a Corefile for records of type `kind`; it leaves other names to the next plugin."""
    return f'template IN {kind} {zone} {{\n        match "{match}"\n        {rest}\n        fallthrough\n    }}'


WRONG_TEMPLATE = block("A", ZONE, "^web[.]", WRONG_ANSWER)


def servers(testbed: Testbed) -> list[KubeObject]:
    """Return the CoreDNS Pods that have not ended and are not being deleted."""
    pods = testbed.api.list("Pod", SYSTEM, LABEL).items
    return [pod for pod in pods if not (pod.deleting or pod.over)]


def restart(testbed: Testbed) -> None:
    """Replace every CoreDNS Pod, since a running one reads a new configuration only after up to 30 s."""
    for pod in servers(testbed):
        testbed.api.delete("Pod", SYSTEM, pod.name, {"gracePeriodSeconds": 0})


@dataclass(frozen=True)
class Corefile:
    """CoreDNS with another Corefile; `edit` gets the Corefile and returns the new one."""

    edit: Callable[[str], str]

    def inject(self, testbed: Testbed) -> None:
        """Save the Corefile in the testbed's folder, write the edited one, replace the Pods."""
        config = testbed.api.get("ConfigMap", SYSTEM, COREDNS)
        corefile: str = config.at("data")["Corefile"] if config else ""
        (testbed.folder / "Corefile").write_text(corefile, encoding="utf-8")
        testbed.api.patch("ConfigMap", SYSTEM, COREDNS, {"data": {"Corefile": self.edit(corefile)}})
        restart(testbed)

    def in_effect(self, testbed: Testbed) -> Result:
        """Check that the ConfigMap is changed, and that every CoreDNS Pod is ready."""
        config, kept = testbed.api.get("ConfigMap", SYSTEM, COREDNS), testbed.folder / "Corefile"
        changed = config is not None and kept.exists() and config.at("data")["Corefile"] != kept.read_text(encoding="utf-8")
        ready = [pod.is_true("Ready") for pod in servers(testbed)]
        return expect(changed and bool(ready) and all(ready), f"changed: {text(changed)}, servers ready: {text(ready)}")

    def heal(self, testbed: Testbed) -> None:
        """Restore the Corefile, replace the Pods."""
        kept = testbed.folder / "Corefile"
        if kept.exists():
            testbed.api.patch("ConfigMap", SYSTEM, COREDNS, {"data": {"Corefile": kept.read_text(encoding="utf-8")}})
            kept.unlink()
            restart(testbed)


def before_kubernetes(block: str) -> Corefile:
    """Return CoreDNS with a plugin block before the plugin kubernetes."""
    return Corefile(lambda text: text.replace("    kubernetes ", f"    {block}\n    kubernetes ", 1))


def replaced(old: str, new: str) -> Corefile:
    """Return CoreDNS with `old` replaced by `new` in its Corefile."""
    return Corefile(lambda text: text.replace(old, new))


class WrongServer:
    """Another endpoint of the DNS Service, which answers with a wrong address."""

    NAME = "odd-dns"

    def inject(self, testbed: Testbed) -> None:
        """Create a Pod with the labels and the container of CoreDNS, and a Corefile of its own."""
        config = f".:53 {{\n    ready\n    {WRONG_TEMPLATE}\n    kubernetes cluster.local in-addr.arpa\n}}\n"
        metadata = {"name": self.NAME, "labels": {"k8s-app": "kube-dns"}}
        testbed.recreate({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"Corefile": config}}, SYSTEM)
        (container,) = servers(testbed)[0].at("spec.containers")
        volumes = [{"name": "config-volume", "configMap": {"name": self.NAME}}]
        mounts = [{"name": "config-volume", "mountPath": "/etc/coredns"}]
        own = {key: container[key] for key in ("name", "image", "args", "ports", "readinessProbe", "securityContext")}
        spec: Json = {"serviceAccountName": COREDNS, "dnsPolicy": "Default", "tolerations": [{"operator": "Exists"}]}
        spec |= {"containers": [{**own, "volumeMounts": mounts}], "volumes": volumes}
        testbed.recreate({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, SYSTEM)

    def in_effect(self, testbed: Testbed) -> Result:
        """Check that the Pod is ready, which makes it an endpoint of the Service."""
        pod = testbed.api.get("Pod", SYSTEM, self.NAME)
        return expect(pod is not None and pod.is_true("Ready"), f"no ready Pod {self.NAME}")

    def heal(self, testbed: Testbed) -> None:
        """Delete the Pod and its ConfigMap."""
        if testbed.api.get("Pod", SYSTEM, self.NAME):
            testbed.api.delete("Pod", SYSTEM, self.NAME, {"gracePeriodSeconds": 0})
        testbed.delete("ConfigMap", self.NAME, SYSTEM)


def no_servers(testbed: Testbed) -> Result:
    """Return whether no CoreDNS Pod is left."""
    left = [pod.name for pod in servers(testbed)]
    return expect(not left, f"{some(left)} still there")


def template(kind: str, zone: str, match: str, rest: str) -> Corefile:
    """Return CoreDNS with a template block."""
    return before_kubernetes(block(kind, zone, match, rest))


FAULTS = (
    Fault("dns-gone", "dns", "CoreDNS has no replica", Link.DNS,
          Patched("Deployment", SYSTEM, COREDNS, {"spec": {"replicas": 0}}, {"spec": {"replicas": 2}},
                  lambda deployment: deployment.at("spec.replicas") == 0, no_servers),
          ("CHAIN-DNS-010",), "got timeout", short=True),
    Fault("dns-one-wrong", "dns", "one CoreDNS Pod of several answers with a wrong address", Link.DNS, WrongServer(),
          ("CHAIN-DNS-170",), r"got 10\.96\.255\.253"),
    Fault("dns-wrong-zone", "dns", "CoreDNS serves another zone", Link.DNS,
          replaced("kubernetes cluster.local", "kubernetes cluster.wrong"), ("CHAIN-DNS-010",), UNKNOWN_NAME),
    Fault("dns-wrong-address", "dns", "CoreDNS answers with a wrong address for every Service", Link.DNS,
          template("A", ZONE, f".*[.]{TESTED}", WRONG_ANSWER), ("CHAIN-DNS-010",), r"got 10\.96\.255\.253"),
    Fault("dns-name-denied", "dns", "CoreDNS answers NXDOMAIN for one Service", Link.DNS,
          template("A", ZONE, "^web[.]", "rcode NXDOMAIN"), ("CHAIN-DNS-010",), UNKNOWN_NAME),
    Fault("dns-names-invented", "dns", "CoreDNS answers with an address for names that do not exist", Link.DNS,
          template("A", ZONE, "^absent[.]", WRONG_ANSWER), ("CHAIN-DNS-060",), "got NOERROR"),
    Fault("dns-family-invented", "dns", "CoreDNS answers with an IPv6 address for a Service that has none", Link.DNS,
          template("AAAA", ZONE, "^web[.]", 'answer "{{ .Name }} 5 IN AAAA fd00::253"'), ("CHAIN-DNS-180",), "got NOERROR"),
    Fault("dns-srv-missing", "dns", "no name has an SRV record", Link.DNS,
          template("SRV", ZONE, ".*", "rcode NXDOMAIN"), ("CHAIN-DNS-080",), r"SRV -> port \d+ of \S+, got "),
    Fault("dns-ptr-wrong", "dns", "reverse lookups return another name", Link.DNS,
          template("PTR", "in-addr.arpa", ".*",
                   'answer "{{ .Name }} 5 IN PTR wrong.cluster.local."'), ("CHAIN-DNS-090",), r"got wrong\.cluster\.local"),
    Fault("dns-stale", "dns", "CoreDNS caches answers for an hour", Link.DNS,
          Corefile(lambda text: text.replace("ttl 30", "ttl 3600")
                   .replace("disable success cluster.local", "success 9984 3600 3600")),
          ("CHAIN-DNS-150",), r"renewed -> \S+, got \d"),
    Fault("dns-tcp-dropped", "dns", "DNS over TCP is dropped", Link.DNS,
          IptablesRule("raw", "PREROUTING -p tcp --dport 53 -j DROP", "all"), ("CHAIN-DNS-160",), "got timeout"),
    Fault("dns-search-wrong", "dns", "the search list of Pods has another domain", Link.DNS,
          KubeletSetting("workers", "clusterDomain", "cluster.wrong"), ("CHAIN-DNS-010",), UNKNOWN_NAME),
    Fault("dns-server-wrong", "dns", "Pods use a DNS server address where no server is", Link.DNS,
          KubeletSetting("workers", "clusterDNS", "[10.96.255.254]"), ("CHAIN-DNS-010",), "got timeout"),
)  # fmt: skip
