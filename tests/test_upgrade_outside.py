"""The ways by which users come in: load balancers and URLs of their own."""

from pathlib import Path
from typing import Any

import pytest

from kubechain.core.setting_values import urls
from kubechain.observe.clock import RealClock
from kubechain.upgrade import routes, samplers, witnesses
from kubechain.upgrade.allowances import allowed
from kubechain.upgrade.availability import kept_up
from kubechain.upgrade.figures import line
from kubechain.upgrade.samplers import sampling
from kubechain.upgrade.witnesses import BALANCED
from tests.changing_cluster import changing_cluster
from tests.fakes import thing
from tests.test_upgrade_availability import down, record, seen
from tests.test_upgrade_followed import pause
from tests.test_upgrade_routes import chain


@pytest.mark.parametrize("text", ["ftp://x", "shop.example", "https://", "https://jane:secret@x", "https://x,http:///y"])
def test_url_that_cannot_be_asked_or_has_a_password_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        urls(text)
    assert urls("https://a.example/x?y=1, http://b:8080") == "https://a.example/x?y=1, http://b:8080"


def test_routes_to_urls_have_no_query_in_their_names() -> None:
    found = routes.of_users("https://a.example/x?token=1, http://b:8080")
    assert [each.route.name for each in found if not each.route.reuse] == [
        "URL https://a.example/x, new connections",
        "URL http://b:8080, new connections",
    ]
    assert [each.request["url"] for each in found if each.route.reuse] == ["https://a.example/x?token=1", "http://b:8080"]
    assert routes.of_users("") == []


def test_each_address_of_a_load_balancer_is_a_route() -> None:
    witnessed = chain()
    assert routes.load_balancer(witnessed) == []
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "lb.example.org"}]}}
    witnessed.objects.record("ADDED", thing("Service", BALANCED, status=status))
    found = [each for each in routes.load_balancer(witnessed) if not each.route.reuse]
    assert [(each.route.what, each.request["url"]) for each in found] == [
        ("192.0.2.1", "http://192.0.2.1:80/"),
        ("lb.example.org", "http://lb.example.org:80/"),
    ]


def test_only_witnesses_that_are_asked_for_it_have_a_load_balancer() -> None:
    kinds = [[each["spec"].get("type") for each in witnesses.objects("x", balanced=on) if "spec" in each] for on in (False, True)]
    assert ["LoadBalancer" in of_run for of_run in kinds] == [False, True]


def test_allowance_of_a_url_is_that_of_the_setting_for_all_hops_together() -> None:
    hops = ("1", "2", "3")

    def met(seconds: float, allowance: float) -> bool:
        return kept_up("URL")(record(seen("URL", down(50, seconds)), hops=hops, ask_allowance=allowance)).met

    assert (met(0.1, 0), met(4, 5), met(6, 5)) == (False, True, False)
    assert "at most 5 s down on URL, new connections (the setting --ask-allowance)" in str(
        kept_up("URL")(record(seen("URL", down(50, 6)), ask_allowance=5.0))
    )


def test_load_balancer_may_fail_for_as_long_as_its_health_checks_take() -> None:
    seconds = allowed("LoadBalancer", 3).seconds
    assert kept_up("LoadBalancer")(record(seen("LoadBalancer", down(50, seconds)))).met
    assert not kept_up("LoadBalancer")(record(seen("LoadBalancer", down(50, seconds + 1)))).met


def test_line_has_them_only_if_they_were_sampled() -> None:
    assert "URL" not in line(record(seen("DNS")), "x")
    assert "URL 0 of 6,000 lost" in line(record(seen("URL")), "x")


def test_urls_are_sampled_by_a_sampler_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers, "FETCH_SECONDS", 0.5)
    with changing_cluster(tmp_path) as cluster:
        monkeypatch.setattr(routes, "url", cluster.pages)
        cluster.join("a", "127.0.1.9")
        site: Any = cluster.sites["service"]
        asked = f"http://127.0.0.1:{site.port}/shop?key=1"
        with sampling(cluster.chain(), cluster.nodes, tmp_path / "samples", RealClock(), asked) as running:
            pause(1)
        tallies = {route.name: tally for route, tally in running.store.tallies() if route.kind == "URL"}
    assert set(tallies) == {f"URL http://127.0.0.1:{site.port}/shop, {kept} connections" for kept in ("new", "kept")}
    assert all(tally.up >= 3 and not tally.lost for tally in tallies.values())
    assert "Authorization" not in site.requests["shop?key=1"][0].head
