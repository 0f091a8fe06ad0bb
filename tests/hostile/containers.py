"""Commands in containers: what curl, dig and the shell of the client image print, told by the cluster's real state."""

from __future__ import annotations

import http.client
import re
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from kubechain.kube.families import host_of
from kubechain.kube.objects import Json
from tests.hostile.core import Core
from tests.hostile.names import Resolver
from tests.hostile.store import Store

SECONDS = 3.0
CURL = re.compile(r"curl '([^']*)' .*? -w '([^']*)'", re.DOTALL)
METHOD = re.compile(r"-X (\w+)")
# Of curl: the name is not known, the connection is refused, no answer in time.
NO_NAME, NO_CONNECTION, NO_ANSWER = 6, 7, 28
NOT_FOUND = 127


@dataclass(frozen=True)
class Done:
    """What a command printed, and its exit status."""

    stdout: str
    status: int = 0
    stderr: str = ""


def service_variables(store: Store, namespace: str) -> dict[str, str]:
    """Return the variables of a container that starts now: of the Services of its namespace, and of the API server's."""
    variables = {"PATH": "/usr/bin:/bin", "HOME": "/"}
    services = [*store.all("Service", "default"), *store.all("Service", namespace)]
    for service in services:
        address, ports = service["spec"].get("clusterIP", "None"), service["spec"].get("ports", [])
        if address == "None" or not ports:
            continue
        prefix = service["metadata"]["name"].upper().replace("-", "_")
        variables |= {f"{prefix}_SERVICE_HOST": address, f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
        variables[f"{prefix}_PORT"] = f"tcp://{host_of(address)}:{ports[0]['port']}"
        for port in ports:
            tcp = f"{prefix}_PORT_{port['port']}_{port['protocol']}"
            rest = {"": f"tcp://{host_of(address)}:{port['port']}", "_PROTO": "tcp", "_PORT": str(port["port"]), "_ADDR": address}
            variables |= {tcp + end: value for end, value in rest.items()}
            if port.get("name"):
                variables[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
    return variables


@dataclass
class Container:
    """A container of a Pod; `ask_api` answers (method, path) of the Pod's ServiceAccount with (status, body)."""

    core: Core
    pod: Json
    ask_api: Callable[[str, str, str], tuple[int, str]]

    def run(self, argv: list[str]) -> Done:
        """Run a command; one that the client image does not have ends with status 127."""
        programs: dict[str, Callable[[], Done]] = {
            "sh -c 'curl ": lambda: self._curl(argv[2]),
            "sh -c 'tr ": self._environment,
            "env": self._environment,
            "cat /proc/net/tcp": self._sockets,
            "cat /etc/resolv.conf": lambda: Done(self.resolver().resolv_conf()),
            "curl -s ": lambda: self._page(argv[-1]),
            "dig ": lambda: Done(self.resolver().dig(argv[1:])),
        }
        absent = Done("", NOT_FOUND, f"sh: {shlex.join(argv)[:60]}: not found\n")
        return next((run() for begin, run in programs.items() if shlex.join(argv).startswith(begin)), absent)

    def _environment(self) -> Done:
        variables = self.core.environments.get(self.pod["metadata"]["uid"], {})
        return Done("".join(f"{name}={value}\n" for name, value in variables.items()))

    def _sockets(self) -> Done:
        ports: list[Json] = [port for each in self.pod["spec"]["containers"] for port in each.get("ports", [])]
        return Done("".join(f"0: 00000000:{port['containerPort']:04X} 00000000:0000 0A\n" for port in ports))

    def _page(self, url: str) -> Done:
        code, _, _, _, text = self._request(f"http://{url}/", "GET")
        return Done(text.partition("\r\n\r\n")[2], code)

    def resolver(self) -> Resolver:
        """Return the resolver of the Pod."""
        return Resolver(self.core.store, self.pod["metadata"]["namespace"], self.core.addresses.dns, self.core.unnamed)

    def _curl(self, script: str) -> Done:
        """Send the requests of a script of curl commands; one after `&&` only if the one before had an answer."""
        printed, failed = list[str](), False
        stops = " && " in script
        for found in CURL.finditer(script):
            if failed and stops:
                break
            method = METHOD.search(found[0])
            code, status, peer, seconds, text = self._request(found[1], method[1] if method else "GET")
            failed = bool(code)
            values = {"exitcode": code, "response_code": status, "remote_ip": peer, "time_connect": "0.000100"}
            values["time_total"] = f"{seconds:.6f}"
            printed.append(text + re.sub(r"%\{(\w+)\}", lambda name: str(values[name[1]]), found[2]))  # noqa: B023
        return Done("".join(printed), int(failed))

    def _request(self, url: str, method: str) -> tuple[int, int, str, float, str]:
        """Return the exit status of curl, the HTTP status, the peer, the seconds, and head and body of the answer."""
        parts, began = urlsplit(url), time.monotonic()
        host = parts.hostname or ""
        if host == "kubernetes.default.svc":
            account = f"system:serviceaccount:{self.pod['metadata']['namespace']}:{self.pod['spec']['serviceAccountName']}"
            status, text = self.ask_api(account, method, url.partition(host)[2])
            return 0, status, self.core.addresses.kubernetes, 0.001, f"HTTP/1.1 {status} X\r\n\r\n{text}"
        address = host if host[0].isdigit() or ":" in host else next(iter(self.resolver().addresses(host)), "")
        if not address:
            return NO_NAME, 0, "", 0.0, ""
        connection = http.client.HTTPConnection(self.core.addresses.from_pods(address), parts.port or 80, timeout=SECONDS)
        try:
            connection.request(method, parts.path or "/")
            answer = connection.getresponse()
            head = "".join(f"{name}: {value}\r\n" for name, value in answer.getheaders())
            text = f"HTTP/1.1 {answer.status} {answer.reason}\r\n{head}\r\n{answer.read().decode()}"
            return 0, answer.status, address, time.monotonic() - began, text
        except TimeoutError:
            return NO_ANSWER, 0, "", SECONDS, ""
        except (OSError, http.client.HTTPException):
            return NO_CONNECTION, 0, "", time.monotonic() - began, ""
        finally:
            connection.close()
