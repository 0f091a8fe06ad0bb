import pytest

from kubechain.conditions import env

VARIABLES = env.service_variables("my-web", "10.96.0.9", 80)
OTHERS = {
    "PATH": "/bin",
    "KUBERNETES_SERVICE_HOST": "10.96.0.1",
    "MY_WEB_PORTAL_SERVICE_HOST": "10.96.0.4",
    "LATE_SERVICE_HOST": "10.96.0.3",
}


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


def test_variables_of_others_are_ignored() -> None:
    assert env.variables_are("my-web", VARIABLES)({**OTHERS, **VARIABLES}).met


@pytest.mark.parametrize("name", VARIABLES)
def test_each_missing_or_wrong_variable_is_unmet(name: str) -> None:
    exact = env.variables_are("my-web", VARIABLES)
    missing = {key: value for key, value in VARIABLES.items() if key != name}
    assert not exact(missing).met
    assert not exact({**VARIABLES, name: "wrong"}).met


def test_additional_variable_is_unmet() -> None:
    extra = {"MY_WEB_PORT_443_TCP": "tcp://10.96.0.9:443"}
    assert not env.variables_are("my-web", VARIABLES)({**VARIABLES, **extra}).met
    assert env.variables_are("my-web", {})(OTHERS).met
    assert not env.variables_are("my-web", {})({**OTHERS, **extra}).met


def test_variables_that_are_there_must_be_right_if_none_would_do() -> None:
    right_if_any = env.variables_are("my-web", VARIABLES, if_any=True)
    assert right_if_any(OTHERS).met
    assert right_if_any({**OTHERS, **VARIABLES}).met
    assert not right_if_any({**VARIABLES, "MY_WEB_SERVICE_HOST": "10.96.0.8"}).met


SEVERAL = env.multi_port_variables("my-web", "10.96.0.9", {"http": 80, "web-tls": 443})


def test_variables_of_several_ports_as_documented() -> None:
    assert SEVERAL["MY_WEB_PORT"] == "tcp://10.96.0.9:80"
    assert SEVERAL["MY_WEB_SERVICE_PORT"] == "80"
    assert (SEVERAL["MY_WEB_SERVICE_PORT_HTTP"], SEVERAL["MY_WEB_SERVICE_PORT_WEB_TLS"]) == ("80", "443")
    assert SEVERAL["MY_WEB_PORT_443_TCP"] == "tcp://10.96.0.9:443"
    assert len(SEVERAL) == 7 + 2 + 4


def test_has_variables_rejects_empty_values() -> None:
    there = env.has_variables("A", "B")
    assert there({"A": "1", "B": "2", "C": "3"}).met
    assert not there({}).met
    assert not there({"A": "1"}).met
    assert not there({"A": "1", "B": ""}).met
