import pytest

from kubechain.conditions import dns
from kubechain.conditions.dns import Answer

RESOLVES = dns.resolves_to("10.96.0.9", "10.96.0.10")
WRONG_ANSWERS: dict[str, list[Answer]] = {
    "none": [],
    "one of two": [Answer("web", "NOERROR", ("10.96.0.9",))],
    "one too many": [Answer("web", "NOERROR", ("10.96.0.10", "10.96.0.9", "10.96.0.99"))],
    "no data": [Answer("web", "NOERROR")],
    "no such name": [Answer("web", "NXDOMAIN")],
    "right data, wrong rcode": [Answer("web", "SERVFAIL", ("10.96.0.10", "10.96.0.9"))],
    "silence": [Answer("web", "timeout")],
}
RIGHT_ANSWER = Answer("web", "NOERROR", ("10.96.0.10", "10.96.0.9"))


def test_names_resolve_to_exactly_the_addresses() -> None:
    assert RESOLVES([RIGHT_ANSWER, RIGHT_ANSWER]).met


@pytest.mark.parametrize("name", WRONG_ANSWERS)
def test_answer_that_is_not_exact_is_unmet(name: str) -> None:
    assert not RESOLVES(WRONG_ANSWERS[name]).met
    if WRONG_ANSWERS[name]:
        assert not RESOLVES([RIGHT_ANSWER, *WRONG_ANSWERS[name]]).met


@pytest.mark.parametrize("rcode", ["NOERROR", "SERVFAIL", "REFUSED", "timeout"])
def test_no_such_name_accepts_nxdomain_only(rcode: str) -> None:
    none = dns.no_such_name()
    assert none([Answer("absent", "NXDOMAIN")]).met
    assert not none([]).met
    assert not none([Answer("absent", "NXDOMAIN"), Answer("absent", rcode)]).met


def test_no_address_accepts_nxdomain_and_noerror_without_data() -> None:
    none = dns.no_address()
    assert none([Answer("a", "NXDOMAIN"), Answer("b", "NOERROR")]).met
    assert not none([]).met
    for wrong in (Answer("c", "NOERROR", ("10.96.0.9",)), Answer("c", "SERVFAIL"), Answer("c", "timeout")):
        assert not none([Answer("a", "NXDOMAIN"), wrong]).met


SERVES = dns.serves(80, "web.ns.svc.cluster.local.")
RECORD = "0 50 80 web.ns.svc.cluster.local."


def test_srv_record_is_compared_without_priority_and_weight() -> None:
    assert SERVES([Answer("x", "NOERROR", (RECORD,)), Answer("y", "NOERROR", ("10 100" + RECORD[4:],))]).met


@pytest.mark.parametrize(
    "answer",
    [
        Answer("x", "NOERROR"),
        Answer("x", "NXDOMAIN"),
        Answer("x", "SERVFAIL", (RECORD,)),
        Answer("x", "NOERROR", (RECORD, RECORD)),
        Answer("x", "NOERROR", ("0 50 8080 web.ns.svc.cluster.local.",)),
        Answer("x", "NOERROR", ("0 50 80 other.ns.svc.cluster.local.",)),
    ],
)
def test_srv_record_with_another_port_or_target_is_unmet(answer: Answer) -> None:
    assert not SERVES([answer]).met
    assert not SERVES([Answer("x", "NOERROR", (RECORD,)), answer]).met
    assert not SERVES([]).met


def test_reverse_name_is_that_of_the_ptr_record() -> None:
    assert dns.reverse_name("10.96.0.9") == "9.0.96.10.in-addr.arpa."
    assert dns.reverse_name("fd00::1").endswith(".d.f.ip6.arpa.")


LIST = "search ns.svc.cluster.local svc.cluster.local cluster.local corp.example\n"
RESOLV_CONF = f"nameserver 10.96.0.10\n{LIST}options edns0 ndots:5\n"


def test_search_list_begins_with_the_namespace() -> None:
    assert dns.searches("ns", "cluster.local")(RESOLV_CONF).met


@pytest.mark.parametrize(
    "text",
    [
        "",
        LIST,
        "options ndots:5\n",
        RESOLV_CONF.replace("ndots:5", "ndots:1"),
        RESOLV_CONF.replace("ndots:5", "ndots:55"),
        RESOLV_CONF.replace("ns.svc", "other.svc"),
        RESOLV_CONF.replace(" svc.cluster.local", ""),
        RESOLV_CONF.replace("search", "#search"),
    ],
)
def test_other_resolv_conf_is_unmet(text: str) -> None:
    assert not dns.searches("ns", "cluster.local")(text).met


def test_servers_are_those_of_resolv_conf() -> None:
    text = "search ns.svc.x svc.x\nnameserver 10.96.0.10\n# nameserver 1.1.1.1\nnameserver\nnameserver fd00::a\n"
    assert dns.nameservers(text) == ["10.96.0.10", "fd00::a"]
