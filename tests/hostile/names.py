"""The cluster's DNS: the records of Services, and the output of dig."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from kubechain.conditions.dns import reverse_name
from kubechain.kube.families import RECORDS, family_of
from kubechain.kube.objects import Json
from tests.hostile.store import Store

DOMAIN = "cluster.local"
SUFFIX = f".svc.{DOMAIN}"
NDOTS = 5
TTL = 30
# Type of a record -> the family of its addresses.
FAMILIES = {record: family for family, record in RECORDS.items()}


def _addresses(service: Json) -> list[str]:
    """Return the clusterIPs of a Service."""
    return [address for address in service["spec"].get("clusterIPs", []) if address != "None"]


@dataclass(frozen=True)
class Resolver:
    """The resolver of a Pod in a namespace, with the address of the DNS server, which has no records of families `unnamed`."""

    store: Store
    namespace: str
    server: str
    unnamed: Collection[str] = ()

    @property
    def searches(self) -> list[str]:
        """The search list."""
        return [f"{self.namespace}{SUFFIX}", SUFFIX[1:], DOMAIN]

    def resolv_conf(self) -> str:
        """Return the file."""
        return f"search {' '.join(self.searches)}\nnameserver {self.server}\noptions ndots:{NDOTS}\n"

    def candidates(self, name: str) -> list[str]:
        """Return the absolute names that a name stands for, in the order in which they are tried."""
        if name.endswith("."):
            return [name.rstrip(".")]
        searched = [f"{name}.{domain}" for domain in self.searches]
        return [name, *searched] if name.count(".") >= NDOTS else [*searched, name]

    def addresses(self, name: str) -> list[str]:
        """Return the addresses of a name, [] if it has none."""
        found = [self.records(each, record) for each in self.candidates(name) for record in FAMILIES]
        return next((records for records in found if records), None) or []

    def records(self, name: str, record: str) -> list[str] | None:
        """Return the data of an absolute name, None if there is no such name."""
        if record == "PTR":
            owners = [each for each in self.store.all("Service") if f"{name}." in map(reverse_name, _addresses(each))]
            return [f"{self._full(owner)}." for owner in owners] or None
        # [_port, _protocol,] service, namespace
        words = name.removesuffix(SUFFIX).split(".")
        if not name.endswith(SUFFIX) or len(words) not in (2, 4):
            return None
        service = self.store.get("Service", words[-1], words[-2])
        return self.of_service(service, record, words[0].removeprefix("_") if len(words) == 4 else "") if service else None

    def of_service(self, service: Json, record: str, port_name: str) -> list[str] | None:
        """Return the data of a Service, or ("" for none) of its port of that name."""
        spec = service["spec"]
        if port_name:
            ports: list[Json] = [port for port in spec.get("ports", []) if port.get("name") == port_name]
            return [f"0 100 {port['port']} {self._full(service)}." for port in ports] or None
        if spec["type"] == "ExternalName":
            return [f"{spec['externalName']}."] if record == "CNAME" else []
        family = FAMILIES.get(record, "")
        if not family or family in self.unnamed:
            return []
        if spec["clusterIP"] == "None":
            return self._pods(service, family)
        return [address for address in _addresses(service) if family_of(address) == family]

    def dig(self, words: list[str]) -> str:
        """Return what dig prints with +noall +comments +answer, for one name with or without +search."""
        plain = words[2:] if words[:1] == ["-p"] else [*words[:1], *words[3:]] if words[1:2] == ["-p"] else words
        name, *rest = [word for word in plain if word[0] not in "+@"]
        record, shown = (rest or ["A"])[0], list[str]()
        for each in self.candidates(name) if "+search" in words else [name.rstrip(".")]:
            data = self.records(each, record)
            code = "NXDOMAIN" if data is None else "NOERROR"
            shown.append(f";; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: {code}, id: 1\n")
            shown += [f"{each}.\t{TTL}\tIN\t{record}\t{value}\n" for value in data or []]
            if data is not None:
                break
        return "".join(line for line in shown if "+comments" in words or line[0] != ";")

    def _full(self, service: Json) -> str:
        metadata = service["metadata"]
        return f"{metadata['name']}.{metadata['namespace']}{SUFFIX}"

    def _pods(self, service: Json, family: str) -> list[str]:
        metadata = service["metadata"]
        slices = self.store.all("EndpointSlice", metadata["namespace"])
        own = [each for each in slices if each["metadata"]["labels"].get("kubernetes.io/service-name") == metadata["name"]]
        own = [each for each in own if each["addressType"] == family]
        ready = [entry for each in own for entry in each["endpoints"] if entry["conditions"]["ready"]]
        return [address for entry in ready for address in entry["addresses"]]
