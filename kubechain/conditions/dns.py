"""What DNS answers, and the conditions on it (https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from kubechain.conditions.condition import Condition, Result, equal, expect, met, unmet


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one DNS question: the rcode ("NOERROR", "NXDOMAIN", … or "timeout") and the data, sorted."""

    name: str
    rcode: str
    data: tuple[str, ...] = ()


def resolves_to(*addresses: str) -> Condition[list[Answer]]:
    """Each name resolves to exactly these addresses."""

    def check(answers: list[Answer]) -> Result:
        for answer in answers:
            result = equal(f"{answer.name}", (answer.rcode, answer.data), ("NOERROR", tuple(sorted(addresses))))
            if not result.met:
                return result
        return met() if answers else unmet("nothing was asked")

    return Condition(f"names resolve to exactly {', '.join(addresses)}", check)


def no_such_name() -> Condition[list[Answer]]:
    """Each name is answered with NXDOMAIN: the server says that there is none, not that it failed."""

    def check(answers: list[Answer]) -> Result:
        wrong = [f"{a.name}: {a.rcode} {' '.join(a.data)}" for a in answers if a.rcode != "NXDOMAIN"]
        return expect(bool(answers) and not wrong, "; ".join(wrong) or "nothing was asked")

    return Condition("names answered with NXDOMAIN", check)


def no_address() -> Condition[list[Answer]]:
    """No name has an address: there is no such name, or it has no record of that type."""

    def check(answers: list[Answer]) -> Result:
        wrong = [f"{a.name}: {a.rcode} {' '.join(a.data)}" for a in answers if a.rcode not in NOTHING or a.data]
        return expect(bool(answers) and not wrong, "; ".join(wrong) or "nothing was asked")

    return Condition("names without an address", check)


NOTHING = ("NOERROR", "NXDOMAIN")


def serves(port: int, target: str) -> Condition[list[Answer]]:
    """Each name has one SRV record, which leads to that port of the target; priority and weight are the server's."""

    def check(answers: list[Answer]) -> Result:
        found = [(a.rcode, [tuple(record.split()[2:]) for record in a.data]) for a in answers]
        return equal("port and target", found, [("NOERROR", [(str(port), target)])] * max(1, len(found)))

    return Condition(f"SRV record to {target} port {port}", check)


def reverse_name(address: str) -> str:
    """Return the name under which an address has its PTR record, up to the root."""
    return ipaddress.ip_address(address).reverse_pointer + "."


def searches(namespace: str, domain: str) -> Condition[str]:
    """A resolv.conf begins its search list with the namespace, the Services and the domain, and sets ndots:5."""

    def check(text: str) -> Result:
        lines = [line.split() for line in text.splitlines()]
        search = next((words[1:] for words in lines if words[:1] == ["search"]), list[str]())
        options = [word for words in lines if words[:1] == ["options"] for word in words[1:]]
        result = equal("search list", search[:3], [f"{namespace}.svc.{domain}", f"svc.{domain}", domain])
        return expect("ndots:5" in options, f"options are {options}") if result.met else result

    return Condition(f"search list of {namespace} and ndots:5", check)
