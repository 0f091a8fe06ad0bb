import pytest

from kubechain.conditions import dns, env
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
def test_answer_that_is_not_exact_is_told(name: str) -> None:
    assert not RESOLVES(WRONG_ANSWERS[name]).met
    if WRONG_ANSWERS[name]:
        assert not RESOLVES([RIGHT_ANSWER, *WRONG_ANSWERS[name]]).met


@pytest.mark.parametrize("rcode", ["NOERROR", "SERVFAIL", "REFUSED", "timeout"])
def test_only_nxdomain_says_that_there_is_no_such_name(rcode: str) -> None:
    none = dns.no_such_name()
    assert none([Answer("absent", "NXDOMAIN")]).met
    assert not none([]).met
    assert not none([Answer("absent", "NXDOMAIN"), Answer("absent", rcode)]).met


def test_no_address_is_an_answer_that_there_is_none() -> None:
    none = dns.no_address()
    assert none([Answer("a", "NXDOMAIN"), Answer("b", "NOERROR")]).met
    assert not none([]).met
    for wrong in (Answer("c", "NOERROR", ("10.96.0.9",)), Answer("c", "SERVFAIL"), Answer("c", "timeout")):
        assert not none([Answer("a", "NXDOMAIN"), wrong]).met


SERVES = dns.serves(80, "web.ns.svc.cluster.local.")
RECORD = "0 50 80 web.ns.svc.cluster.local."


def test_srv_record_leads_to_port_and_target_whatever_its_weight() -> None:
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
def test_srv_record_that_leads_elsewhere_is_told(answer: Answer) -> None:
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
def test_resolv_conf_that_says_something_else_is_told(text: str) -> None:
    assert not dns.searches("ns", "cluster.local")(text).met


VARIABLES = env.service_variables("my-web", "10.96.0.9", 80)
OTHERS = {"PATH": "/bin", "KUBERNETES_SERVICE_HOST": "10.96.0.1", "MY_WEBSITE": "x", "LATE_SERVICE_HOST": "10.96.0.3"}


def test_seven_variables_as_documented() -> None:
    assert VARIABLES == {
        "MY_WEB_SERVICE_HOST": "10.96.0.9",
        "MY_WEB_SERVICE_PORT": "80",
        "MY_WEB_PORT": "tcp://10.96.0.9:80",
        "MY_WEB_PORT_80_TCP": "tcp://10.96.0.9:80",
        "MY_WEB_PORT_80_TCP_PROTO": "tcp",
        "MY_WEB_PORT_80_TCP_PORT": "80",
        "MY_WEB_PORT_80_TCP_ADDR": "10.96.0.9",
    }


def test_variables_of_the_service_are_exact_whatever_else_there_is() -> None:
    assert env.variables_are("my-web", VARIABLES)({**OTHERS, **VARIABLES}).met


@pytest.mark.parametrize("name", VARIABLES)
def test_each_variable_missing_or_wrong_is_told(name: str) -> None:
    exact = env.variables_are("my-web", VARIABLES)
    missing = {key: value for key, value in VARIABLES.items() if key != name}
    assert not exact(missing).met
    assert not exact({**VARIABLES, name: "wrong"}).met


def test_variable_too_many_is_told_also_where_there_must_be_none() -> None:
    extra = {"MY_WEB_PORT_443_TCP": "tcp://10.96.0.9:443"}
    assert not env.variables_are("my-web", VARIABLES)({**VARIABLES, **extra}).met
    assert env.variables_are("my-web", {})(OTHERS).met
    assert not env.variables_are("my-web", {})({**OTHERS, **extra}).met


SEVERAL = env.multi_port_variables("my-web", "10.96.0.9", {"http": 80, "web-tls": 443})


def test_variables_of_several_ports_as_documented() -> None:
    assert SEVERAL["MY_WEB_PORT"] == "tcp://10.96.0.9:80"
    assert SEVERAL["MY_WEB_SERVICE_PORT"] == "80"
    assert (SEVERAL["MY_WEB_SERVICE_PORT_HTTP"], SEVERAL["MY_WEB_SERVICE_PORT_WEB_TLS"]) == ("80", "443")
    assert SEVERAL["MY_WEB_PORT_443_TCP"] == "tcp://10.96.0.9:443"
    assert len(SEVERAL) == 7 + 2 + 4


def test_variables_that_must_be_there_must_hold_something() -> None:
    there = env.has_variables("A", "B")
    assert there({"A": "1", "B": "2", "C": "3"}).met
    assert not there({}).met
    assert not there({"A": "1"}).met
    assert not there({"A": "1", "B": ""}).met
