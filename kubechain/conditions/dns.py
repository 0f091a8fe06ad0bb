"""DNS answers and the conditions on them (https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from kubechain.conditions.condition import Condition, Result, expect, unmet
from kubechain.conditions.text import some
from kubechain.conditions.timeouts import DNS, IN_CONTAINER

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
    def shown(self) -> str:
        """The data for a message; without data the rcode or "no record"."""
        return str(self) if self.rcode != "NOERROR" else some(self.data) if self.data else "no record"


def _first_wrong(answers: list[Answer], right: Callable[[Answer], bool], expected: Callable[[str], str]) -> Result:
    """Return met if there are answers and all are right, else unmet with the first wrong one."""
    wrong = next((answer for answer in answers if not right(answer)), None)
    return unmet(str(wrong), expected(wrong.name)) if wrong else expect(bool(answers), "no question")


def resolves_to(*addresses: str) -> Condition[list[Answer]]:
    """Each answer has exactly these addresses, in any order."""
    wanted = tuple(sorted(addresses))

    def check(answers: list[Answer]) -> Result:
        wrong = next((answer for answer in answers if (answer.rcode, answer.data) != ("NOERROR", wanted)), None)
        return unmet(wrong.shown, f"{wrong.name} -> {some(wanted)}") if wrong else expect(bool(answers), "no question")

    return Condition(f"every name -> {some(wanted)}", check, DNS)


def no_such_name() -> Condition[list[Answer]]:
    """Each answer is NXDOMAIN; SERVFAIL and other errors do not meet the condition."""
    return Condition(
        "NXDOMAIN for every name",
        lambda answers: _first_wrong(answers, lambda answer: answer.rcode == "NXDOMAIN", lambda name: f"NXDOMAIN for {name}"),
        DNS,
    )


def no_address() -> Condition[list[Answer]]:
    """Each answer is NXDOMAIN, or NOERROR without data."""
    return Condition(
        "no address for any name",
        lambda answers: _first_wrong(
            answers, lambda answer: answer.rcode in NOTHING and not answer.data, lambda name: f"no address for {name}"
        ),
        DNS,
    )


def serves(port: int, target: str) -> Condition[list[Answer]]:
    """Each answer has one SRV record with this port and target; priority and weight do not matter."""
    wanted = [str(port), target]

    def check(answers: list[Answer]) -> Result:
        return _first_wrong(
            answers,
            lambda answer: answer.rcode == "NOERROR" and [record.split()[2:] for record in answer.data] == [wanted],
            lambda name: f"{name} SRV -> port {port} of {target}",
        )

    return Condition(f"every name SRV -> port {port} of {target}", check, DNS)


def reverse_name(address: str) -> str:
    """Return the absolute name of an address's PTR record: "9.0.96.10.in-addr.arpa."."""
    return ipaddress.ip_address(address).reverse_pointer + "."


def nameservers(resolv_conf: str) -> list[str]:
    """Return the addresses of the DNS servers in a resolv.conf, in their order."""
    lines = [line.split() for line in resolv_conf.splitlines()]
    return [words[1] for words in lines if words[:1] == ["nameserver"] and len(words) > 1]


def searches(namespace: str, domain: str) -> Condition[str]:
    """The search list of a resolv.conf begins with NAMESPACE.svc.DOMAIN, svc.DOMAIN and DOMAIN, and ndots is 5."""
    wanted = [f"{namespace}.svc.{domain}", f"svc.{domain}", domain]

    def check(text: str) -> Result:
        lines = [line.split() for line in text.splitlines()]
        search = next((words[1:] for words in lines if words[:1] == ["search"]), list[str]())
        options = [word for words in lines if words[:1] == ["options"] for word in words[1:]]
        if search[:3] != wanted:
            return unmet(some(search, " "), f"a search list that begins with {' '.join(wanted)}")
        return expect("ndots:5" in options, some(options, " "), "ndots:5 among the options of resolv.conf")

    return Condition(f"the search list of {namespace} and ndots:5 in resolv.conf", check, IN_CONTAINER)
