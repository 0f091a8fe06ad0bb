"""What DNS answers, and the conditions on it (https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from kubechain.conditions.condition import Condition, Result, expect, unmet
from kubechain.conditions.text import some
from kubechain.conditions.timeouts import CONTROLLER, DNS

NOTHING = ("NOERROR", "NXDOMAIN")


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one DNS question: the rcode ("NOERROR", "NXDOMAIN", … or "timeout") and the data, sorted."""

    name: str
    rcode: str
    data: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.rcode} {some(self.data)}" if self.data else self.rcode

    @property
    def found(self) -> str:
        """The data for a message; where there is none, why."""
        return str(self) if self.rcode != "NOERROR" else some(self.data) if self.data else "no record"


def _first_wrong(answers: list[Answer], right: Callable[[Answer], bool], expected: Callable[[str], str]) -> Result:
    """Met if there are answers and all are right; else the first wrong one is what there is."""
    wrong = next((answer for answer in answers if not right(answer)), None)
    return unmet(str(wrong), expected(wrong.name)) if wrong else expect(bool(answers), "no question")


def resolves_to(*addresses: str) -> Condition[list[Answer]]:
    """Each name resolves to exactly these addresses."""
    wanted = tuple(sorted(addresses))

    def check(answers: list[Answer]) -> Result:
        wrong = next((each for each in answers if (each.rcode, each.data) != ("NOERROR", wanted)), None)
        return unmet(wrong.found, f"{wrong.name} -> {some(wanted)}") if wrong else expect(bool(answers), "no question")

    return Condition(f"every name -> {some(wanted)}", check, DNS)


def no_such_name() -> Condition[list[Answer]]:
    """Each name is answered with NXDOMAIN: the server says that there is none, not that it failed."""
    return Condition(
        "NXDOMAIN for every name",
        lambda answers: _first_wrong(answers, lambda each: each.rcode == "NXDOMAIN", lambda name: f"NXDOMAIN for {name}"),
        DNS,
    )


def no_address() -> Condition[list[Answer]]:
    """No name has an address: there is no such name, or it has no record of that type."""
    return Condition(
        "no address for any name",
        lambda answers: _first_wrong(
            answers, lambda each: each.rcode in NOTHING and not each.data, lambda name: f"no address for {name}"
        ),
        DNS,
    )


def serves(port: int, target: str) -> Condition[list[Answer]]:
    """Each name has one SRV record, which leads to that port of the target; priority and weight are the server's."""
    wanted = [str(port), target]

    def check(answers: list[Answer]) -> Result:
        return _first_wrong(
            answers,
            lambda each: each.rcode == "NOERROR" and [record.split()[2:] for record in each.data] == [wanted],
            lambda name: f"{name} SRV -> port {port} of {target}",
        )

    return Condition(f"every name SRV -> port {port} of {target}", check, DNS)


def reverse_name(address: str) -> str:
    """Return the name under which an address has its PTR record, up to the root."""
    return ipaddress.ip_address(address).reverse_pointer + "."


def searches(namespace: str, domain: str) -> Condition[str]:
    """A resolv.conf begins its search list with the namespace, the Services and the domain, and sets ndots:5."""
    wanted = [f"{namespace}.svc.{domain}", f"svc.{domain}", domain]

    def check(text: str) -> Result:
        lines = [line.split() for line in text.splitlines()]
        search = next((words[1:] for words in lines if words[:1] == ["search"]), list[str]())
        options = [word for words in lines if words[:1] == ["options"] for word in words[1:]]
        if search[:3] != wanted:
            return unmet(some(search, " "), f"a search list that begins with {' '.join(wanted)}")
        return expect("ndots:5" in options, some(options, " "), "ndots:5 among the options of resolv.conf")

    return Condition(f"the search list of {namespace} and ndots:5 in resolv.conf", check, CONTROLLER)
