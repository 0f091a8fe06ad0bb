"""The environment variables of Services in containers, and the conditions on them.

https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kubechain.conditions.condition import Condition, Result, expect, fields, met
from kubechain.conditions.text import some
from kubechain.conditions.timeouts import IN_CONTAINER
from kubechain.kube.families import host_of

# What follows the name of the Service in its variables.
OF_SERVICE = r"SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_.*)?"


def service_variables(name: str, address: str, port: int) -> dict[str, str]:
    """Return the seven variables of a Service with one TCP port."""
    prefix = name.upper().replace("-", "_")
    url = f"tcp://{host_of(address)}:{port}"
    tcp = f"{prefix}_PORT_{port}_TCP"
    return {
        f"{prefix}_SERVICE_HOST": address,
        f"{prefix}_SERVICE_PORT": str(port),
        f"{prefix}_PORT": url,
        tcp: url,
        f"{tcp}_PROTO": "tcp",
        f"{tcp}_PORT": str(port),
        f"{tcp}_ADDR": address,
    }


def told_of(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a Service in an environment."""
    # Not those of a Service web-portal, whose names begin alike.
    own = re.compile(rf"{name.upper().replace('-', '_')}_({OF_SERVICE})")
    return {key: value for key, value in environment.items() if own.fullmatch(key)}


def variables_are(name: str, wanted: Mapping[str, str], *, if_any: bool = False) -> Condition[Mapping[str, str]]:
    """The environment's variables of the Service are exactly `wanted`; {} means that it has none.

    `if_any` leaves open whether the Pod was started before the Service, or before its kubelet knew of it: none will do, too.
    """

    def check(environment: Mapping[str, str]) -> Result:
        actual = told_of(name, environment)
        if if_any and not actual:
            return met()
        if not actual or not wanted:
            return expect(len(actual) == len(wanted), some(actual))
        return fields(actual, dict(wanted)).of(f"variables for Service {name}:")

    what = f"the {len(wanted)} variables{' or none' if if_any else ''}" if wanted else "no variables"
    return Condition(f"{what} for Service {name}", check, IN_CONTAINER)


def multi_port_variables(name: str, address: str, ports: Mapping[str, int]) -> dict[str, str]:
    """Return the variables of a Service with several TCP ports; `ports` is name -> port, in the order of the spec."""
    prefix = name.upper().replace("-", "_")
    first = next(iter(ports.values()))
    variables = service_variables(name, address, first)
    for port_name, port in ports.items():
        variables |= {key: value for key, value in service_variables(name, address, port).items() if f"_{port}_TCP" in key}
        variables[f"{prefix}_SERVICE_PORT_{port_name.upper().replace('-', '_')}"] = str(port)
    return variables


def has_variables(*names: str) -> Condition[Mapping[str, str]]:
    """The environment has each of these variables with a value that is not empty."""

    def check(environment: Mapping[str, str]) -> Result:
        missing = [name for name in names if not environment.get(name)]
        return expect(not missing, f"no {some(missing)}")

    return Condition(f"variables {', '.join(names)}", check, IN_CONTAINER)


def printed_variables(text: str) -> dict[str, str]:
    """Return the variables that `env` prints."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
