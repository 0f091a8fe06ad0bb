"""IP families: of addresses and objects, in conditions, and of a cluster by what it gives Services."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from kubechain.claims.requirements import DUAL_STACK, Environment
from kubechain.cluster import kind_config, network_isolation
from kubechain.cluster.families import Families
from kubechain.conditions.env import service_variables
from kubechain.core.errors import SetupError
from kubechain.core.settings import IpFamily
from kubechain.kube import families
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import Json, KubeObject
from kubechain.provision.kept_network import require_families, require_proxy_mode
from kubechain.workload import manifests
from kubechain.workload.manifests import WEB
from kubechain.workload.urls import url
from tests.fakes import FakeApi, changed, pod, service, thing
from tests.test_rights import TARGET

FOUR, SIX = "10.96.0.9", "fd00:10:96::9"
BOTH = {"clusterIP": FOUR, "clusterIPs": [FOUR, SIX], "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"}


def web(**spec: Any) -> KubeObject:
    """Return the Service with these fields."""
    return service(spec={**service().at("spec"), **spec})


def test_family_of_an_address_and_what_follows_from_it() -> None:
    assert [families.family_of(each) for each in (FOUR, SIX, "fd00::/64")] == ["IPv4", "IPv6", "IPv6"]
    assert [families.other_family(each) for each in ("IPv4", "IPv6")] == ["IPv6", "IPv4"]
    assert [families.RECORDS[families.family_of(each)] for each in (FOUR, SIX)] == ["A", "AAAA"]
    assert [url(each) for each in (FOUR, SIX, "web")] == ["http://10.96.0.9:80/", f"http://[{SIX}]:80/", "http://web:80/"]


def test_variables_of_a_service_have_brackets_in_urls_alone() -> None:
    variables = service_variables(WEB, SIX, 80)
    assert variables["WEB_SERVICE_HOST"] == variables["WEB_PORT_80_TCP_ADDR"] == SIX
    assert variables["WEB_PORT"] == variables["WEB_PORT_80_TCP"] == f"tcp://[{SIX}]:80"


def test_addresses_of_objects_by_family() -> None:
    both = changed(pod(), "status.podIPs", [{"ip": "10.244.0.5"}, {"ip": "fd00:10:244:0::5"}])
    assert [families.pod_address(both, family) for family in ("IPv4", "IPv6")] == ["10.244.0.5", "fd00:10:244:0::5"]
    assert families.pod_address(pod(), "IPv6") == families.pod_address(changed(pod(), "status.podIP", ""), "IPv4") == ""
    assert families.cluster_ips(web(**BOTH)) == {"IPv4": FOUR, "IPv6": SIX}
    assert families.cluster_ips(web(clusterIP=SIX)) == {"IPv6": SIX}
    assert families.cluster_ips(web(clusterIP="None", clusterIPs=["None"])) == {}
    assert families.families_of(thing("Service", WEB, spec={"clusterIP": SIX})) == ["IPv6"]


def node(*addresses: str, ranges: Sequence[str] = ()) -> KubeObject:
    """Return a Node with these InternalIPs and podCIDRs."""
    listed_addresses = [{"type": "InternalIP", "address": address} for address in addresses]
    return thing("Node", f"n{len(addresses)}", spec={"podCIDRs": list(ranges)}, status={"addresses": listed_addresses})


OLD, NEW, QUIET = node("172.18.0.2"), node("172.18.0.3", "fc00::3"), node("172.18.0.4", ranges=["10.244.0.0/24", "fd00::/64"])


@pytest.mark.parametrize(
    ("known", "nodes", "ipv6", "claims"),
    [
        ((), (OLD,), False, False),
        (("IPv4",), (OLD,), False, False),
        (("IPv4",), (NEW, QUIET), True, False),
        (("IPv4", "IPv6"), (NEW, QUIET), True, True),
        # Nodes of clouds do not show the IPv6 addresses of their Pods.
        (("IPv4", "IPv6"), (OLD, OLD), True, True),
        (("IPv4", "IPv6"), (), True, True),
        # Nodes that were not replaced since the cluster got its second family.
        (("IPv4", "IPv6"), (OLD, NEW), False, False),
        (("IPv6", "IPv4"), (OLD, NEW), True, False),
        (("IPv6",), (node("fc00::2"),), True, False),
    ],
)
def test_what_pods_have_and_which_claims_apply(
    known: tuple[str, ...], nodes: tuple[KubeObject, ...], *, ipv6: bool, claims: bool
) -> None:
    environment = Environment(TARGET, nodes, "host", disruptive=False, families=Families(known=known))
    assert (environment.pods_have_ipv6, DUAL_STACK.met(environment)) == (ipv6, claims)


def test_nginx_listens_on_ipv6_only_if_pods_have_it() -> None:
    for ports, name in manifests.CONFIGURATIONS.items():
        lines = {ipv6: manifests.nginx_config(ipv6=ipv6)["data"][name].split("\n") for ipv6 in (False, True)}
        listening = {ipv6: [line.strip() for line in text if "listen" in line] for ipv6, text in lines.items()}
        of_both = [line for port in ports for line in (f"listen {port};", f"listen [::]:{port};")]
        assert listening == {False: [line for line in of_both if "::" not in line], True: of_both}


def test_echo_listens_on_the_family_of_its_service() -> None:
    scripts = [manifests.udp_echo("echo", "image", family)["spec"]["containers"][0]["command"][-1] for family in families.RECORDS]
    assert ["UDP4-LISTEN" in scripts[0], "UDP6-LISTEN" in scripts[1]] == [True, True]


class Server(FakeApi):
    """An API server that gives Services these families, or refuses them; `policy` refuses those of two families."""

    def __init__(self, *given: str, policy: bool = False) -> None:
        self.given, self.asked, self.policy = given, list[str](), policy

    def create(self, body: Json, namespace: str = "", *, dry_run: bool = False, seconds: float = 0.0) -> KubeObject:  # noqa: ARG002
        assert dry_run
        self.asked.append(namespace)
        dual = body["spec"].get("ipFamilyPolicy") == "PreferDualStack"
        if not self.given or (dual and self.policy):
            raise ApiRefused(403, "Forbidden", "no Services here")
        return changed(KubeObject(body), "spec.ipFamilies", list(self.given if dual else self.given[:1]))


def test_families_of_a_cluster_are_asked_once_unless_it_refuses() -> None:
    server = Server("IPv6", "IPv4")
    known = Families(server)
    assert known.ask("ns") == known.ask("other") == known.known == ("IPv6", "IPv4")
    assert server.asked == ["ns"]
    deaf = Families(Server())
    assert (deaf.ask("default"), deaf.known) == ((), ())
    assert Families().ask("ns") == ()
    assert Families(Server("IPv6", "IPv4", policy=True)).ask("ns") == ("IPv6",)


def test_kept_cluster_of_other_families_is_refused() -> None:
    require_families(Server("IPv4", "IPv6"), "dev", "dual")
    require_families(Server("IPv4", "IPv6"), "dev", "")
    with pytest.raises(SetupError, match=r"--ip-family=ipv6: the kept cluster dev is dual: omit --ip-family, or name another"):
        require_families(Server("IPv4", "IPv6"), "dev", "ipv6")


@pytest.mark.parametrize(("config", "mode"), [("mode: nftables", "nftables"), ('mode: ""', "iptables"), ("", "iptables")])
def test_kept_cluster_of_another_proxy_mode_is_refused(config: str, mode: str) -> None:
    body = json.dumps({"kind": "ConfigMap", "metadata": {"name": "kube-proxy"}, "data": {"config.conf": config}})
    api = FakeApi(lambda _method, _path, _body: body)
    require_proxy_mode(api, "dev", "")
    require_proxy_mode(api, "dev", mode)
    (other,) = {"iptables", "nftables"} - {mode}
    with pytest.raises(SetupError, match=f"--proxy-mode={other}: the kept cluster dev has {mode}: omit --proxy-mode, or name"):
        require_proxy_mode(api, "dev", other)


def test_kind_gets_the_mode_of_the_proxy_beside_the_families(tmp_path: Path) -> None:
    assert kind_config.write(tmp_path, "", "iptables") == kind_config.CONFIG
    network = yaml.safe_load(kind_config.write(tmp_path, "", "nftables").read_text())["networking"]
    assert network == {"kubeProxyMode": "nftables"}
    both = yaml.safe_load(kind_config.write(tmp_path, "dual", "nftables").read_text())["networking"]
    assert (both["kubeProxyMode"], both["ipFamily"]) == ("nftables", "dual")


@pytest.mark.parametrize("option", ["ipv6", "dual", "dual-ipv6"])
def test_kind_gets_the_ranges_in_the_order_of_the_families(option: str, tmp_path: Any) -> None:
    assert kind_config.write(tmp_path, "", planes=1) == kind_config.write(tmp_path, "ipv4") == kind_config.CONFIG
    path = kind_config.write(tmp_path, option)
    made, base = (yaml.safe_load(each.read_text()) for each in (path, kind_config.CONFIG))
    network = made.pop("networking")
    assert made == base
    assert network["ipFamily"] == option.removesuffix("-ipv6")
    for ranges in (network["podSubnet"], network["serviceSubnet"]):
        assert tuple(map(families.family_of, ranges.split(","))) == kind_config.FAMILIES[option]
        assert {*ranges.split(",")} <= {*network_isolation.NETWORKS, *network_isolation.IPV6_NETWORKS}


def test_option_names_every_combination() -> None:
    first, *options = get_args(IpFamily)
    assert (first, options) == ("", [*kind_config.FAMILIES])
    assert [kind_config.option_of(each) for each in kind_config.FAMILIES.values()] == options
    assert kind_config.option_of(()) == ""
