import pytest

from kubechain.cluster import network_isolation

ROUTES = "10.0.0.0/8 via 172.17.0.9 dev eth1\ndefault via 172.17.0.1 dev eth0 proto static\n172.17.0.0/16 dev eth0\n"


@pytest.mark.parametrize(
    ("routes", "device"),
    [
        (ROUTES, "eth0"),
        ("default dev wg0 scope link\n", "wg0"),
        ("10.0.0.0/8 dev eth0\nunreachable default metric 4000000000\n", None),
        ("", None),
    ],
)
def test_uplink_is_the_device_of_the_default_route(routes: str, device: str | None) -> None:
    assert network_isolation.uplink(routes) == device


def test_forwarding_out_is_rejected_for_both_families() -> None:
    rule = ["-o", "eth0", "-j", "REJECT"]
    assert network_isolation.rules("eth0") == [("iptables", "DOCKER-USER", rule), ("ip6tables", "FORWARD", rule)]
