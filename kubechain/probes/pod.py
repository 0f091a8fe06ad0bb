"""Probes from inside a Pod: HTTP with curl, DNS with dig, UDP with socat, and the environment of its container."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kubechain.conditions.dns import Answer
from kubechain.conditions.http import Failure, Page
from kubechain.core.errors import HarnessError, NoProgram
from kubechain.kube.client import EXEC_SECONDS, Api, Executed
from kubechain.kube.creation import persistently
from kubechain.kube.exec import named
from kubechain.kube.families import family_of, host_of
from kubechain.probes import udp

# https://curl.se/libcurl/c/libcurl-errors.html
CURL_FAILURES: dict[int, Failure] = {6: "name", 7: "refused", 28: "timeout", 52: "reset", 56: "reset"}
REQUEST_SECONDS = 3
# No further attempt of a command begins later: for connections that a proxy closes, and not for an API server that is down.
AGAIN_SECONDS = 10.0
# Without -g, curl takes the brackets of an IPv6 address for a pattern in some places.
PLAIN = f"-g --noproxy '*' -m {REQUEST_SECONDS}"
ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
# https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
API_NAME = "kubernetes.default.svc"
API_HOST = "$(case $KUBERNETES_SERVICE_HOST in *:*) echo [$KUBERNETES_SERVICE_HOST];; *) echo $KUBERNETES_SERVICE_HOST;; esac)"
API_ADDRESS = f"{API_HOST}:$KUBERNETES_SERVICE_PORT"
# Exit status of a shell that does not find a program.
NOT_FOUND = 127
CHUNK = "\n--kubechain--\n"
# About 290 kB: some hundred packets of the largest size that a path lets through.
BODY_LINES = 50_000
# Exit status of dig: 0 for a reply with any rcode, 9 for no reply from a server.
NO_REPLY = 9
DIG_SENT = (0, NO_REPLY)
RCODE = re.compile(r"status: ([A-Z]+)")


@dataclass(frozen=True)
class PodProbe:
    """A Pod that probes run in; each probe is one command in its container of this name ("": the only one)."""

    api: Api
    namespace: str
    pod: str
    container: str = ""

    def run(self, *argv: str, seconds: float = EXEC_SECONDS) -> Executed:
        """Run a command that may run twice and return its output and exit status.

        It is run again if the API server or the connection failed, because then it is not known whether it ran.

        Raises:
            NoProgram: the image lacks the program, or one that a script runs.
            HarnessError: it cannot run, or exceeds `seconds`.

        """

        def attempt() -> Executed:
            return self.api.execute(self.namespace, self.pod, argv, container=self.container, seconds=seconds)

        done = persistently(attempt, AGAIN_SECONDS)
        if done.status == NOT_FOUND:
            raise NoProgram(f"`{named(argv)}` in pod {self.pod}: {done.stderr.strip() or 'command not found'}")
        return done

    def must_run(self, *argv: str) -> str:
        """Run a command (see `run`) and return its stdout; HarnessError if its exit status is not 0."""
        done = self.run(*argv)
        if done.status != 0:
            raise HarnessError(f"`{' '.join(argv)}` in pod {self.pod}: status {done.status}: {done.stderr.strip()}")
        return done.stdout

    def fetch(self, *urls: str) -> list[Page]:
        """Send one GET request to each URL, each on a new connection."""
        return self._curl(PLAIN, urls)

    def repeat(self, url: str, count: int) -> list[Page]:
        """Send up to `count` GET requests to a URL, each on a new connection; stop after a request without a response."""
        return self._curl(PLAIN, [url] * count, " && ")

    def ask_api(self, *paths: str, method: str = "GET") -> list[Page]:
        """Send a request to the API server for each path, with the token and the CA of the Pod's ServiceAccount.

        The address is that of the environment, as client-go takes it: no DNS is needed.
        """
        token = f"Authorization: Bearer $(cat {ACCOUNT_FOLDER}/token)"
        at = f'--connect-to "{API_NAME}:443:{API_ADDRESS}"'
        options = f'-X {method} {PLAIN} {at} --cacert {ACCOUNT_FOLDER}/ca.crt -H "{token}"'
        return self._curl(options, [f"https://{API_NAME}{path}" for path in paths])

    def _curl(self, options: str, urls: Sequence[str], then: str = "; ") -> list[Page]:
        # curl writes headers and body, then CHUNK, the fields of the transfer, and CHUNK.
        write = CHUNK + "%{exitcode} %{response_code} %{remote_ip} %{time_connect} %{time_total}" + CHUNK
        # The URL first: a message shows only the beginning of a command.
        script = then.join(f"curl '{url}' -s -i {options} -w '{write}'" for url in urls)
        # When packets are lost, each request takes REQUEST_SECONDS.
        allowed = EXEC_SECONDS + REQUEST_SECONDS * len(urls)
        parts = self.run("sh", "-c", script, seconds=allowed).stdout.replace("\r\n", "\n").split(CHUNK)
        pages = [parse_page(*fields) for fields in zip(urls, parts[:-1:2], parts[1::2], strict=False)]
        if len(parts) != 2 * len(pages) + 1 or (len(pages) < len(urls) and not (pages and pages[-1].failure and "&" in then)):
            raise HarnessError(f"curl in pod {self.pod} did not report on each of {len(urls)} requests")
        return pages

    def lookup(self, *names: str, record: str, server: str = "", tcp: bool = False) -> list[Answer]:
        """Resolve each name once with the Pod's search list, by its resolver or `server` ("ADDRESS#PORT"), over UDP or TCP."""
        address, _, port = server.partition("#")
        at = [*([f"@{address}"] if server else []), *(["-p", port] if port else []), "+tcp" if tcp else "+notcp"]
        # One dig per name, because the options before the first name would not apply to the others.
        options = ["+search", "+showsearch", "+tries=1", f"+time={REQUEST_SECONDS}", "+noall", "+comments", "+answer"]
        return [parse_answer(name, record, self.run("dig", *at, name, record, *options)) for name in names]

    def time_to_live(self, name: str, record: str, times: int) -> int:
        """Return the longest TTL in seconds of such a record of a name from the Pod's resolver; 0 if there is none.

        It is asked for so many times, because each replica of the DNS keeps the record for a time of its own.
        """
        asked = (self.must_run("dig", "+noall", "+answer", "+nottlunits", name, record).split() for _ in range(times))
        return max(int(fields[1]) if len(fields) > 1 else 0 for fields in asked)

    def echo(self, address: str, port: int) -> str:
        """Send a UDP datagram to an address and return the reply, "" if there is none within a second."""
        to = f"UDP{family_of(address)[-1]}:{host_of(address)}:{port}"
        return self.run("sh", "-c", f"echo {udp.WORD} | socat -T 1 -t 1 - {to}").stdout.strip()

    def echo_body(self, address: str, port: int) -> tuple[str, str]:
        """Send a body of BODY_LINES lines by TCP to what echoes it; return what `cksum` prints of it and of what came back."""
        to = f"TCP{family_of(address)[-1]}:{host_of(address)}:{port},connect-timeout={REQUEST_SECONDS}"
        # It ends when nothing comes for REQUEST_SECONDS. A shell says by NOT_FOUND that it does not find a program.
        echo = f"socat -T {REQUEST_SECONDS} -t {REQUEST_SECONDS} - {to} < /tmp/sent > /tmp/back"
        found = f"[ $? != {NOT_FOUND} ] || exit {NOT_FOUND}"
        script = f"seq 1 {BODY_LINES} > /tmp/sent && cksum < /tmp/sent || exit $?; {echo} || {found}; cksum < /tmp/back"
        sent, back = self.must_run("sh", "-c", script).splitlines()
        return sent, back

    def environment(self) -> dict[str, str]:
        """Return the environment variables of the container; HarnessError if they cannot be read.

        A command is given the variables of its container. Process 1 is that of another container where a Pod shares its
        process namespace (https://kubernetes.io/docs/tasks/configure-pod-container/share-process-namespace/).
        """
        printed = self.must_run("sh", "-c", "tr '\\0' '\\n' < /proc/self/environ")
        variables = dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)
        if not variables:
            raise HarnessError(f"pod {self.pod}: /proc/self/environ is empty")
        return variables

    def resolver(self) -> str:
        """Return the Pod's resolv.conf."""
        return self.must_run("cat", "/etc/resolv.conf")

    def domain(self) -> str:
        """Return the DNS domain of the cluster from the Pod's search list."""
        return cluster_domain(self.resolver(), self.namespace)


def parse_page(url: str, answer: str, transfer: str) -> Page:
    """Return the Page for the output of `curl -i` and the fields "exitcode response_code remote_ip time_connect time_total"."""
    code, status, *rest = transfer.split()
    peer, connected, seconds = rest[0] if len(rest) > 2 else "", float(rest[-2]), float(rest[-1])
    if int(code) != 0:
        failure = CURL_FAILURES.get(int(code), "other")
        return Page(url, failure=failure, detail=f"curl exit {code}", peer=peer, seconds=seconds, connected=connected)
    head, _, body = answer.partition("\n\n")
    headers = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
    backend, source = headers.get("x-backend", ""), headers.get("x-source", "")
    return Page(url, int(status), body, backend, source, peer, seconds=seconds, connected=connected)


def parse_answer(name: str, record: str, done: Executed) -> Answer:
    """Return the last answer in the output of dig, its data sorted; HarnessError if dig sent no query."""
    if done.status not in DIG_SENT:
        raise HarnessError(f"dig cannot resolve {name}: status {done.status}: {done.stderr.strip()}")
    rcodes = RCODE.findall(done.stdout)
    last = done.stdout.rpartition("->>HEADER<<-")[2]
    if not rcodes or done.status == NO_REPLY:
        return Answer(name, "timeout")
    fields = [line.split(None, 4) for line in last.splitlines() if line and not line.startswith(";")]
    return Answer(name, rcodes[-1], tuple(sorted(f[4] for f in fields if len(f) == 5 and f[3] == record)))


def cluster_domain(resolv_conf: str, namespace: str) -> str:
    """Return the domain after "<namespace>.svc." in a search list; HarnessError if there is no such entry."""
    entry = re.search(rf"^search\b.*\s{re.escape(namespace)}\.svc\.(\S+)", resolv_conf, re.MULTILINE)
    if not entry:
        raise HarnessError(f"no search entry {namespace}.svc.<domain> in resolv.conf: {resolv_conf!r}")
    return entry[1].rstrip(".")
