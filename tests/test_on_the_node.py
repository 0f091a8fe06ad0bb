"""curl on the machine of a Node, by a client of the container engine that says what it is told to."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kubechain.conditions.http import all_welcome
from kubechain.core.errors import NotApplicable, Unmet
from kubechain.images.docker import Docker
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Waiter
from kubechain.scenarios.on_the_node import OnTheNode
from suites.walkthrough.test_walkthrough import test_curl_localhost_on_the_node as claim
from tests.fakes import FakeApi, service

# The page is served at port 30080 alone; $7 is the URL.
CURL = """#!/bin/sh
for url; do :; done
case "$url" in
  http://localhost:10249/proxyMode) printf '%s' "{mode}" ;;
  http://localhost:{port}/) echo '<h1>Welcome to nginx!</h1>' ;;
  *) exit 7 ;;
esac
"""
CONFIG = {"iptables": {"localhostNodePorts": None}, "mode": "", "nodePortAddresses": None}


def on_the_node(folder: Path, mode: str = "iptables", port: int = 30080, script: str = CURL) -> OnTheNode:
    client = folder / "docker"
    client.write_text(script.replace("{mode}", mode).replace("{port}", str(port)))
    client.chmod(0o755)
    cluster: Any = SimpleNamespace(docker=Docker(client), nodes=lambda: ["a", "b"])
    return OnTheNode(cluster)


def api(config: object) -> FakeApi:
    found = {"kind": "ConfigMap", "metadata": {"name": "kube-proxy"}, "data": {"config.conf": json.dumps(config)}}

    def answer(*_: object) -> str:
        return json.dumps(found)

    return FakeApi(answer)


def walk(config: object = CONFIG, address: str = "10.96.0.9") -> Any:
    waiter = Waiter(RealClock(), patience=0.02)
    chain = SimpleNamespace(api=api(config), waiter=waiter)
    stated: Any = SimpleNamespace(chain=chain, service=service(spec={**service().at("spec"), "clusterIP": address}))

    def itself(*_: str) -> Any:
        return stated

    stated.after = stated.with_pods = stated.require_served = itself
    return stated


def test_claim_holds_where_the_node_answers(tmp_path: Path) -> None:
    claim(walk(), on_the_node(tmp_path), walk().chain.waiter.eventually)


def test_claim_fails_where_the_node_does_not_answer(tmp_path: Path) -> None:
    expected = (
        r"'Welcome to nginx!', got http://localhost:30080/ on Node a: refused \(curl exit 7\); http://localhost:30080/ on Node b"
    )
    with pytest.raises(Unmet, match=expected):
        claim(walk(), on_the_node(tmp_path, port=1), walk().chain.waiter.eventually)


@pytest.mark.parametrize(
    ("mode", "config", "address", "why"),
    [
        ("nftables", CONFIG, "10.96.0.9", "kube-proxy in the mode iptables, not nftables: KEP-3866"),
        ("ipvs", CONFIG, "10.96.0.9", "not ipvs"),
        ("iptables", CONFIG, "fd00::9", "IPv4 address"),
        ("iptables", {**CONFIG, "iptables": {"localhostNodePorts": False}}, "10.96.0.9", "localhostNodePorts, which is false"),
        ("iptables", {**CONFIG, "nodePortAddresses": ["primary"]}, "10.96.0.9", "nodePortAddresses, which are primary"),
    ],
)
def test_claim_does_not_apply_where_nothing_is_promised(
    tmp_path: Path, mode: str, config: object, address: str, why: str
) -> None:
    with pytest.raises(NotApplicable, match=why):
        claim(walk(config, address), on_the_node(tmp_path, mode), walk().chain.waiter.eventually)


def test_kube_proxy_that_does_not_say_its_mode_is_no_reason_to_skip(tmp_path: Path) -> None:
    silent = CURL.replace("""  http://localhost:10249/proxyMode) printf '%s' "{mode}" ;;\n""", "")
    with pytest.raises(Unmet, match=r"refused \(curl exit 7\)"):
        claim(walk(), on_the_node(tmp_path, port=1, script=silent), walk().chain.waiter.eventually)


def test_node_without_curl_skips_the_claim(tmp_path: Path) -> None:
    missing = '#!/bin/sh\necho "exec: \\"curl\\": executable file not found" >&2\nexit 127\n'
    with pytest.raises(NotApplicable, match=r"needs curl on Node a: .*not found"):
        claim(walk(), on_the_node(tmp_path, script=missing), walk().chain.waiter.eventually)


def test_page_is_that_of_the_node(tmp_path: Path) -> None:
    page = on_the_node(tmp_path).curl("a", "http://localhost:30080/")
    assert all_welcome("Welcome to nginx!")([page]).met
