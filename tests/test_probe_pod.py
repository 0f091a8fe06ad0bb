import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from kubechain.conditions.dns import Answer
from kubechain.conditions.http import Page
from kubechain.core.errors import ExitCode, HarnessError, NoProgram
from kubechain.kube.client import Executed
from kubechain.kube.errors import ApiUnavailable
from kubechain.probes.pod import CHUNK, PodProbe, cluster_domain, parse_answer, parse_page
from tests.fakes import FakeApi, no_answer

URL = "http://10.96.0.9/"
HEAD = "HTTP/1.1 200 OK\nServer: nginx/1.29.1\nContent-Type: text/html\nX-Backend: web-5d4f-0\nX-Source: 10.244.1.7\n"
BODY = "<!DOCTYPE html>\n<html>\n\n<h1>Welcome to nginx!</h1>\n</html>\n"


def test_page_of_curl_is_read_with_headers_body_and_peer() -> None:
    page = parse_page(URL, f"{HEAD}\n{BODY}", "0 200 10.96.0.9 0.001 0.004123")
    assert page == Page(URL, 200, BODY, "web-5d4f-0", "10.244.1.7", "10.96.0.9", seconds=0.004123, connected=0.001)


@pytest.mark.parametrize(
    ("transfer", "failure"),
    [
        ("7 000  0.000 0.001", "refused"),
        ("28 000  0.000 3.000", "timeout"),
        ("6 000  0.000 0.010", "name"),
        ("52 000 10.96.0.9 0.001 0.002", "reset"),
        ("56 000 10.96.0.9 0.001 0.002", "reset"),
        ("3 000  0.000 0.000", "other"),
    ],
)
def test_failure_of_curl_is_classified_by_its_exit_code(transfer: str, failure: str) -> None:
    page = parse_page(URL, "", transfer)
    assert (page.failure, page.status, page.body) == (failure, 0, "")
    assert page.detail == f"curl exit {transfer.split(maxsplit=1)[0]}"


def test_transfer_that_broke_after_its_headers_is_a_failure() -> None:
    page = parse_page(URL, f"{HEAD}\nhalf a pa", "56 200 10.96.0.9 0.001 0.002")
    assert (page.failure, page.status, page.body) == ("reset", 0, "")


def test_error_page_is_no_failure() -> None:
    page = parse_page(URL, "HTTP/1.1 503 Service Unavailable\nX-Backend: web-5d4f-0\n\nno\n", "0 503 10.96.0.9 0.001 0.002")
    assert (page.status, page.failure) == (503, "")


def test_page_without_backend_headers_has_no_backend() -> None:
    page = parse_page(URL, f"HTTP/1.1 200 OK\nServer: other\n\n{BODY}", "0 200 10.96.0.9 0.001 0.002")
    assert (page.backend, page.source) == ("", "")


def executed(stdout: str, status: int = 0, stderr: str = "") -> Executed:
    return Executed(stdout, stderr, status)


def header(status: str) -> str:
    return (
        f";; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: {status}, id: 4711\n"
        ";; flags: qr aa rd; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 1\n;; WARNING: recursion requested\n\n"
        ";; OPT PSEUDOSECTION:\n; EDNS: version: 0, flags:; udp: 1232\n"
    )


FOUND = ";; ANSWER SECTION:\nweb.ns.svc.cluster.local. 30\tIN\tA\t10.96.0.9\nweb.ns.svc.cluster.local. 30 IN A 10.96.0.10\n"
ALIAS = ";; ANSWER SECTION:\nx.ns.svc.cluster.local. 30 IN CNAME web.ns.svc.cluster.local.\n"
SILENCE = ";; communications error to 10.96.0.10#53: timed out\n\n; <<>> DiG 9.18 <<>> web\n;; no servers could be reached\n"


def test_answer_of_dig_is_sorted() -> None:
    answer = parse_answer("web", "A", executed(header("NOERROR") + FOUND))
    assert answer == Answer("web", "NOERROR", ("10.96.0.10", "10.96.0.9"))


def test_last_query_of_a_search_gives_the_answer() -> None:
    tried = header("NXDOMAIN") + header("NOERROR") + FOUND
    assert parse_answer("web", "A", executed(tried)) == Answer("web", "NOERROR", ("10.96.0.10", "10.96.0.9"))
    lost = header("NXDOMAIN") + header("NXDOMAIN") + header("NXDOMAIN")
    assert parse_answer("web", "A", executed(lost)) == Answer("web", "NXDOMAIN")


def test_records_of_another_type_are_left_out() -> None:
    assert parse_answer("x", "A", executed(header("NOERROR") + ALIAS)) == Answer("x", "NOERROR")
    assert parse_answer("x", "CNAME", executed(header("NOERROR") + ALIAS)).data == ("web.ns.svc.cluster.local.",)
    both = header("NOERROR") + ALIAS + "web.ns.svc.cluster.local. 30 IN A 10.96.0.9\n"
    assert parse_answer("x", "A", executed(both)).data == ("10.96.0.9",)


def test_data_with_spaces_is_kept_whole() -> None:
    service = ";; ANSWER SECTION:\n_http._tcp.web. 30 IN SRV 0 50 8080 web.ns.svc.cluster.local.\n"
    assert parse_answer("x", "SRV", executed(header("NOERROR") + service)).data == ("0 50 8080 web.ns.svc.cluster.local.",)


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "NXDOMAIN"])
def test_rcode_is_returned(rcode: str) -> None:
    assert parse_answer("web", "A", executed(header(rcode))) == Answer("web", rcode)


def test_no_reply_is_a_timeout() -> None:
    assert parse_answer("web", "A", executed(SILENCE, 9)) == Answer("web", "timeout")


def test_search_without_a_reply_to_its_last_query_is_a_timeout() -> None:
    assert parse_answer("web", "A", executed(header("NXDOMAIN") + SILENCE, 9)).rcode == "timeout"


def test_failed_dig_is_an_error_and_no_answer() -> None:
    with pytest.raises(HarnessError):
        parse_answer("web", "A", executed("", 1, "Invalid option: +showsearch"))
    with pytest.raises(HarnessError):
        parse_answer("web", "A", executed("", 10, "dig: out of memory"))


def test_domain_follows_the_namespace_in_the_search_list() -> None:
    plain = "search ns.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
    assert cluster_domain(plain, "ns") == "cluster.local"
    assert cluster_domain("nameserver 10.0.0.1\nsearch corp.example ns.svc.k8s.corp.example.\n", "ns") == "k8s.corp.example"


@pytest.mark.parametrize("text", ["", "nameserver 10.96.0.10\n", "search other.svc.cluster.local\n", "search n-s.svc.x\n"])
def test_search_list_without_the_namespace_is_an_error(text: str) -> None:
    with pytest.raises(HarnessError, match=r"no search entry ns\.svc"):
        cluster_domain(text, "ns")


class Running(FakeApi):
    """An API whose exec returns the result of a function of the command."""

    def __init__(self, prints: Callable[[Sequence[str]], Executed]) -> None:
        super().__init__(no_answer)
        self.prints, self.container = prints, "none"

    def execute(self, namespace: str, pod: str, argv: Sequence[str], *, container: str = "", seconds: float = 0) -> Executed:
        """Return the result, and note the container."""
        assert (namespace, pod, seconds > 0) == ("ns", "client", True)
        self.container = container
        return self.prints(argv)


def inside(printed: Executed) -> PodProbe:
    return PodProbe(Running(lambda _: printed), "ns", "client")


def test_output_of_several_requests_is_split_into_pages() -> None:
    first = f"{HEAD}\n{BODY}{CHUNK}0 200 10.96.0.9 0.001 0.004{CHUNK}".replace("\n", "\r\n", 5)
    second = f"{CHUNK}7 000  0.0 0.001{CHUNK}"
    pages = inside(executed(first + second)).fetch(URL, "http://10.96.0.10/")
    assert [(page.url, page.status, page.failure) for page in pages] == [
        (URL, 200, ""),
        ("http://10.96.0.10/", 0, "refused"),
    ]


@pytest.mark.parametrize("printed", [executed("", 2), executed(f"x{CHUNK}0 200 1.2.3.4 0.1 0.1{CHUNK}")])
def test_output_without_a_page_for_each_request_is_an_error(printed: Executed) -> None:
    with pytest.raises(HarnessError, match="did not report"):
        inside(printed).fetch(URL, URL)


def test_image_without_a_program_is_told_from_other_trouble() -> None:
    with pytest.raises(NoProgram, match="sh: curl: not found"):
        inside(Executed("", "sh: curl: not found", 127)).fetch(URL)
    with pytest.raises(NoProgram, match="command not found"):
        inside(executed("", 127)).echo("10.0.0.1", 7)


def test_failed_request_ends_repeated_requests() -> None:
    good, bad = f"{HEAD}\n{BODY}{CHUNK}0 200 10.96.0.9 0.001 0.004{CHUNK}", f"{CHUNK}28 000  0.0 3.0{CHUNK}"
    assert [page.failure for page in inside(executed(good + bad)).repeat(URL, 3)] == ["", "timeout"]
    assert [page.status for page in inside(executed(good * 3)).repeat(URL, 3)] == [200, 200, 200]
    for printed in ("", good, bad + good):
        with pytest.raises(HarnessError, match="did not report"):
            inside(executed(printed)).repeat(URL, 3)
    with pytest.raises(HarnessError, match="did not report"):
        inside(executed(good + bad)).fetch(URL, URL, URL)


def test_repeated_requests_are_one_command_that_stops_at_a_failure() -> None:
    scripts: list[str] = []
    place = PodProbe(Running(lambda argv: scripts.append(argv[-1]) or executed(f"{CHUNK}7 000  0.0 0.1{CHUNK}")), "ns", "client")
    place.repeat(URL, 3)
    assert scripts[0].count(" && ") == 2
    assert scripts[0].count(URL) == 3


def test_environment_is_read_from_the_container() -> None:
    assert inside(executed("A=1\nB=x=y\nEMPTY=\n")).environment() == {"A": "1", "B": "x=y", "EMPTY": ""}


def test_unreadable_environment_is_an_error_and_not_empty() -> None:
    with pytest.raises(HarnessError, match="Permission denied"):
        inside(executed("", 1, "sh: /proc/self/environ: Permission denied")).environment()
    with pytest.raises(HarnessError):
        inside(executed("")).environment()


def test_command_is_run_again_if_its_stream_breaks_and_not_if_it_fails() -> None:
    answers = [
        ApiUnavailable("the stream broke", ExitCode.UNREACHABLE),
        executed("nameserver 10.96.0.10\n"),
        executed("", 1, "no"),
    ]

    def run(_: Sequence[str]) -> Executed:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    place = PodProbe(Running(run), "ns", "client")
    assert place.resolver() == "nameserver 10.96.0.10\n"
    with pytest.raises(HarnessError, match="status 1: no"):
        place.resolver()
    assert answers == []


ASKED: dict[str, tuple[Callable[[PodProbe], object], str]] = {
    "page": (lambda place: place.fetch(URL), f"{CHUNK}7 000  0.0 0.1{CHUNK}"),
    "pages": (lambda place: place.repeat(URL, 1), f"{CHUNK}7 000  0.0 0.1{CHUNK}"),
    "API server": (lambda place: place.ask_api("/version"), f"{CHUNK}7 000  0.0 0.1{CHUNK}"),
    "name": (lambda place: place.lookup("web", record="A"), header("NXDOMAIN")),
    "datagram": (lambda place: place.echo("10.0.0.1", 53), "echo\n"),
    "file": (lambda place: place.resolver(), "nameserver 10.96.0.10\n"),
}


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("name", ASKED)
def test_every_probe_survives_a_stream_that_breaks_and_not_one_that_breaks_for_good(name: str) -> None:
    ask, printed = ASKED[name]
    troubles = [ApiUnavailable("the stream broke")] * 3

    def run(_: Sequence[str]) -> Executed:
        if troubles:
            raise troubles.pop()
        return executed(printed)

    place = PodProbe(Running(run), "ns", "client")
    assert ask(place)
    troubles.extend([ApiUnavailable("the stream broke")] * 99)
    with pytest.raises(ApiUnavailable, match=r"the stream broke \(\d+ attempts in"):
        ask(place)


def test_commands_name_the_container_and_go_past_proxies() -> None:
    scripts: list[str] = []
    api = Running(lambda argv: scripts.append(argv[-1]) or executed(f"{CHUNK}7 000  0.0 0.1{CHUNK}"))
    place = PodProbe(api, "ns", "client", "nginx")
    for ask in (lambda: place.fetch(URL), lambda: place.repeat(URL, 1), lambda: place.ask_api("/version")):
        ask()
        assert "--noproxy '*'" in scripts[-1]
        assert api.container == "nginx"


def test_server_of_a_lookup_may_have_a_port() -> None:
    commands: list[Sequence[str]] = []

    def run(argv: Sequence[str]) -> Executed:
        commands.append(argv)
        return executed("", 9)

    place = PodProbe(Running(run), "ns", "client")
    place.lookup("web", record="A", server="10.244.0.2#5353")
    place.lookup("web", record="A")
    assert list(commands[0][:4]) == ["dig", "@10.244.0.2", "-p", "5353"]
    assert "-p" not in commands[1]


@pytest.mark.parametrize("back", ["2961388064 288894", "4294967295 0"])
def test_body_and_what_came_back_of_it_are_told_by_their_checksums(back: str) -> None:
    commands: list[Sequence[str]] = []

    def run(argv: Sequence[str]) -> Executed:
        commands.append(argv)
        return executed(f"2961388064 288894\n{back}\n")

    assert PodProbe(Running(run), "ns", "client").echo_body("fd00::9", 80) == ("2961388064 288894", back)
    assert "TCP6:[fd00::9]:80," in commands[0][2]


def test_client_image_without_socat_is_named(tmp_path: Path) -> None:
    def run(argv: Sequence[str]) -> Executed:
        script = argv[2].replace("/tmp/", f"{tmp_path}/")  # noqa: S108  # in the container
        done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=False, env={"PATH": str(tmp_path)})
        return executed(done.stdout, done.returncode, done.stderr)

    for name in ("seq", "cksum"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    with pytest.raises(NoProgram, match="socat"):
        PodProbe(Running(run), "ns", "client").echo_body("10.96.0.9", 80)
