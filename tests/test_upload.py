"""Results in a bucket: signatures, a server that refuses, one that is not there, and an S3 server of others."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kubechain.core import sigv4
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.sigv4 import Keys
from kubechain.results import upload
from tests.go_programs import S3_SERVER
from tests.hostile.access import plain
from tests.hostile.cluster import cluster
from tests.in_pods import kubechain, run
from tests.loopback import HOST, Answer, closing, free_port, response, serving, silent

# Of Amazon's documentation of the signature: a PUT of an object.
EXAMPLE = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
ID, KEY, BUCKET, PLACE = "kubechain", "kubechain-secret-key", "reports", "s3://reports/night"
ONE = "CHAIN-DEPLOYMENT-010"
FILES = {"run.json": "{}", "evidence/a b+c.txt": "what was seen", "chain.html": "<p>"}
MOVED = '<?xml version="1.0"?><Error><Code>PermanentRedirect</Code></Error>'
DENIED = '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>'


def test_signature_is_that_of_the_documentation() -> None:
    moment = datetime(2013, 5, 24, tzinfo=UTC)
    headers = {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"}
    body = b"Welcome to Amazon S3."
    path = sigv4.quoted("/test$file.text")
    signed = sigv4.signed(EXAMPLE, "PUT", "examplebucket.s3.amazonaws.com", path, headers, body, moment)
    assert signed["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,"
        "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    )


def variables(port: int, key: str = KEY) -> dict[str, str]:
    """Return the environment of a run that puts its results into a server on loopback."""
    return {"AWS_ACCESS_KEY_ID": ID, "AWS_SECRET_ACCESS_KEY": key, "AWS_ENDPOINT_URL": f"http://{HOST}:{port}"}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder with results."""
    for name, text in FILES.items():
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "out" / ".published.json").write_text("{}")
    return tmp_path / "out"


def put(results: Path, port: int, monkeypatch: pytest.MonkeyPatch, key: str = KEY) -> str:
    for name, value in variables(port, key).items():
        monkeypatch.setenv(name, value)
    return upload.put(results, PLACE, "0a1b2c3d")


@contextmanager
def s3(folder: Path) -> Generator[int]:
    """Run an S3 server with an empty bucket; yield its port."""
    store, port = folder / "store", free_port()
    (store / BUCKET).mkdir(parents=True)
    words = [
        "--port",
        f"{HOST}:{port}",
        "--access",
        ID,
        "--secret",
        KEY,
        "--quiet",
        "posix",
        "--sidecar",
        str(folder / "sidecar"),
    ]
    (folder / "sidecar").mkdir()
    with (
        (folder / "s3.log").open("wb") as log,
        subprocess.Popen([S3_SERVER.required(), *words, str(store)], stdout=log, stderr=log) as process,
    ):
        try:
            for _ in range(300):
                try:
                    socket.create_connection((HOST, port), 5.0).close()
                    break
                except OSError:
                    threading.Event().wait(0.1)
            yield port
        finally:
            process.terminate()


def stored(folder: Path) -> Mapping[str, str]:
    """Return the objects of the bucket, which the server keeps as files."""
    root = folder / "store" / BUCKET
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_server_of_others_takes_the_files(tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3(tmp_path) as port:
        assert put(results, port, monkeypatch) == ""
        assert "answers 403 SignatureDoesNotMatch" in put(results, port, monkeypatch, key="another-key")
        monkeypatch.setattr(sigv4, "REGION", "nowhere")
        assert "answers 4" in put(results, port, monkeypatch)
    assert stored(tmp_path) == {f"night/0a1b2c3d/{name}": text for name, text in FILES.items()}


def test_whole_run_is_in_the_bucket(tmp_path: Path) -> None:
    with s3(tmp_path) as port, cluster(tmp_path, plain()) as made:
        done = run(made, tmp_path, "--upload", PLACE, only=ONE, **variables(port))
    assert done.returncode == 0, done.stdout + done.stderr
    names = {Path(name).name for name in stored(tmp_path)}
    assert {"run.json", "chain.html", "junit.xml", "summary.md", "metrics.txt"} <= names
    assert not any(KEY in text for text in stored(tmp_path).values())


@pytest.mark.parametrize(
    ("answer", "why", "requests"),
    [
        (response(403, DENIED), "answers 403 AccessDenied", 1),
        (response(404, "<html>"), "answers 404", 1),
        (response(503, ""), "answers 503", upload.ATTEMPTS),
        # What S3 says of a bucket in another region, and a proxy that wants HTTPS: nothing was stored.
        (response(301, MOVED, "Location: http://127.0.0.1:1/"), "answers 301 PermanentRedirect", 1),
        (response(307, "", "Location: http://127.0.0.1:1/"), "answers 307", 1),
        (closing, "cannot be reached: ConnectionError", upload.ATTEMPTS),
    ],
)
def test_server_that_refuses_is_one_line(
    results: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer, why: str, requests: int
) -> None:
    with serving(answer) as server:
        said = put(results, server.port, monkeypatch)
    assert said == f"{BUCKET}/night/0a1b2c3d/chain.html: {HOST}:{server.port} {why}"
    assert len(server.requests) == requests


@pytest.mark.parametrize("endpoint", ["http://S3.Localhost:80", "http://localhost:9000"])
def test_host_is_sent_as_it_is_signed(results: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    place = endpoint.removeprefix("http://")
    with serving(response(200, "")) as server:
        # As a proxy on the way, so that any name and port are reached.
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", ID)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
        assert upload.put(results, PLACE, "0a1b2c3d") == ""
    sent = {name: value for name, _, value in (line.partition(": ") for line in server.requests[0].splitlines())}
    moment = datetime.strptime(sent["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    file = min(FILES)
    path, kind = f"/{BUCKET}/night/0a1b2c3d/{file}", {"Content-Type": "text/html"}
    signed = sigv4.signed(Keys(ID, KEY), "PUT", sent["Host"], path, kind, FILES[file].encode(), moment)
    assert (sent["Host"], sent["Authorization"]) == (place, signed["Authorization"])


def test_password_of_another_program_for_the_host_is_not_sent(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login ann password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving(response(200, "")) as server:
        assert put(results, server.port, monkeypatch) == ""
    assert all("Authorization: AWS4-HMAC-SHA256 " in request for request in server.requests)


def test_server_that_hangs_is_given_up_in_time(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "MOST_SECONDS", 1.0)
    monkeypatch.setattr(upload, "REQUEST_SECONDS", 0.8)
    began = time.monotonic()
    with serving(silent) as server:
        assert "cannot be reached: ReadTimeout" in put(results, server.port, monkeypatch)
    assert time.monotonic() - began < 1.7


def test_files_that_take_too_long_are_named(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "MOST_SECONDS", -1.0)
    with serving(response(200, "")) as server:
        assert put(results, server.port, monkeypatch) == f"{BUCKET}/night/0a1b2c3d/chain.html and more are missing after -1 s"


def test_server_that_is_not_there_changes_the_exit_code_of_a_chain_that_holds(tmp_path: Path) -> None:
    port = free_port()
    with cluster(tmp_path, plain()) as made:
        done = run(made, tmp_path, "--upload", PLACE, only=ONE, **variables(port))
        left = made.left()
    assert done.returncode == ExitCode.CLEANUP, done.stdout + done.stderr
    assert f"after the verdict: the results are not in {PLACE}: " in done.stdout
    assert f"{HOST}:{port} cannot be reached" in done.stdout
    assert "chain holds: 1 claim" in done.stdout
    assert [each for each in left if "watches" not in each] == []


@pytest.mark.parametrize(
    ("place", "environment", "line"),
    [
        ("reports", variables(1), "--upload=reports: expected s3://BUCKET or s3://BUCKET/PREFIX"),
        ("s3://", variables(1), "expected s3://BUCKET"),
        (PLACE, {}, "--upload: in the environment, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set"),
        (PLACE, {**variables(1), "AWS_ENDPOINT_URL": "s3.example.org"}, "AWS_ENDPOINT_URL=s3.example.org: expected a URL"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, place: str, environment: dict[str, str], line: str) -> None:
    empty = dict.fromkeys([name for name in os.environ if name.startswith("AWS_")], "")
    done = kubechain(tmp_path, "run", "--context", "x", "--upload", place, **{**empty, **environment})
    assert (done.returncode, line in done.stderr, len(done.stderr.splitlines())) == (ExitCode.USAGE, True, 1), done.stderr


def test_endpoint_of_the_region_is_the_default() -> None:
    given = {"AWS_ACCESS_KEY_ID": ID, "AWS_SECRET_ACCESS_KEY": KEY, "AWS_REGION": "eu-central-1", "AWS_SESSION_TOKEN": "t"}
    assert upload.server(given) == upload.Server("https://s3.eu-central-1.amazonaws.com", Keys(ID, KEY, "eu-central-1", "t"))
    with pytest.raises(SetupError, match="in the environment, AWS_SECRET_ACCESS_KEY must be set"):
        upload.server({"AWS_ACCESS_KEY_ID": ID})
