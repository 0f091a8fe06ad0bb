"""The sampler as a program: started, restarted, stopped, with a bad plan, and in a Pod."""

import ast
import asyncio
import errno
import itertools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kubechain.core.bundle import ROOT
from kubechain.sampler import __main__ as program
from kubechain.sampler.access import Access
from kubechain.sampler.errors import describe
from kubechain.upgrade import sampler_manifests
from kubechain.upgrade.samples import read
from tests.certificates import authority, signed
from tests.loopback import HOST, free_port
from tests.sampling import PROGRAM, Run, Site, plan, request, request_by_name, start


def run(folder: Path, given: object, *more: str) -> subprocess.CompletedProcess[str]:
    file = folder / "plan.json"
    file.write_text(given if isinstance(given, str) else json.dumps(given))
    command = [*PROGRAM, str(file), str(folder / "out"), *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10, check=False)


def test_restarted_program_appends_after_a_torn_line(tmp_path: Path) -> None:
    given = plan([request(f"http://{HOST}:{free_port()}/")], limit=2, interval=0.01)
    (tmp_path / "out").write_text('{"sampler":1,"started":1,"interval":0.1,"paths":1}\n[0,1.0,1.1,"up",""]\n[0,1.')
    assert run(tmp_path, given).returncode == 0
    content = read((tmp_path / "out").read_text(), 1)
    assert [sample.state for sample in content.samples[0]] == ["up", "down", "down"]
    assert len(content.started) == 2
    assert content.started[1] == pytest.approx(time.time(), abs=10)


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_program_at_once_if_nothing_is_in_flight(tmp_path: Path, signal_: signal.Signals) -> None:
    async def stopped() -> Run:
        run = await start(tmp_path, "it", {"it": request(f"http://{HOST}:{free_port()}/")}, interval=0.02, limit=1000)
        await run.wait_for("refused", 1)
        run.process.send_signal(signal_)
        await run.end(seconds=2)
        return run

    assert asyncio.run(stopped()).code == 0


GOOD = request("http://10.0.0.1/")
BAD: dict[str, Any] = {
    "no JSON": "{",
    "a list": [],
    "no routes": plan([]),
    "no interval": plan([GOOD], interval=0),
    "no duration": plan([GOOD], seconds=None),
    "another scheme": plan([{**GOOD, "url": "ftp://10.0.0.1/"}]),
    "a route without fields": plan([{"url": "http://10.0.0.1/"}]),
    "a line break": plan([{**GOOD, "content": "text/plain\r\nX: y"}]),
    "a DNS server by name": plan([request_by_name("http://10.0.0.1/", "dns.example", "web")]),
    "an empty name": plan([request_by_name("http://10.0.0.1/", HOST, "")]),
    "privileged ports": plan([{**GOOD, "ports": [1000, 100]}]),
    "ports above 65535": plan([{**GOOD, "ports": [65530, 100]}]),
    "a missing CA": plan([GOOD], tls={"ca": "/none", "verify": True}),
    "a proxy of FTP": plan([GOOD], tls={"ca": "", "verify": True, "proxy": {"scheme": "ftp"}}),
    "a missing file of headers": plan([GOOD], tls={"ca": "", "verify": True, "headers": "/none"}),
}


@pytest.mark.parametrize("given", BAD.values(), ids=BAD)
def test_bad_plan_is_an_error_of_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], given: Any) -> None:
    (tmp_path / "plan.json").write_text(given if isinstance(given, str) else json.dumps(given))
    assert program.main([str(tmp_path / "plan.json"), str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_exit_status_is_2_for_bad_input_and_1_for_the_machine(tmp_path: Path) -> None:
    ended = run(tmp_path, "{")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    ended = run(tmp_path, plan([GOOD]), "too much")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    (tmp_path / "out").symlink_to("/dev/full")
    ended = run(tmp_path, plan([GOOD]))
    assert (ended.returncode, ended.stderr) == (1, "sampler: [Errno 28] No space left on device\n")


def in_a_pod(folder: Path) -> dict[str, str]:
    """Write the program like a mounted ConfigMap, and a Python without other packages; returns the environment."""
    data, mount = folder / "opt" / "sampler" / "..2026", folder / "opt" / "sampler"
    data.mkdir(parents=True)
    (mount / "..data").symlink_to(data.name)
    for name, text in sampler_manifests.config_map()["data"].items():
        (data / name).write_text(text)
        (mount / name).symlink_to(f"..data/{name}")
    python = folder / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -B -E -S -s "$@"\n')
    python.chmod(0o755)
    return {"PATH": f"{python.parent}:/usr/bin:/bin"}


def test_program_runs_in_a_pod_without_the_rest_of_the_project(tmp_path: Path) -> None:
    async def sampled() -> Run:
        site = Site()
        await site.open()
        environment, home = in_a_pod(tmp_path), tmp_path / "home"
        home.mkdir()
        given = plan([request(f"http://{HOST}:{site.port}/page")], limit=3)
        (home / "plan.json").write_text(json.dumps(given))
        script = sampler_manifests.SCRIPT.replace(str(Path(sampler_manifests.MOUNT).parent), str(tmp_path / "opt")).replace(
            sampler_manifests.HOME, str(home)
        )
        process = await asyncio.create_subprocess_exec("/bin/sh", "-c", script, env=environment, cwd=tmp_path)
        run = Run(["it"], home / "out", process)
        await run.end()
        site.close()
        return run

    run = asyncio.run(sampled())
    assert run.code == 0
    assert run.results("it") == {("up", ""): 3}
    assert {path.name for path in (tmp_path / "opt" / "sampler").iterdir() if not path.name.startswith("..")} == {
        path.name for path in sampler_manifests.PACKAGE.glob("*.py")
    }


def test_program_uses_only_python_3_9_and_its_standard_library() -> None:
    for path in sampler_manifests.PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(), feature_version=(3, 9))):
            if isinstance(node, ast.Import):
                assert {alias.name.partition(".")[0] for alias in node.names} <= sys.stdlib_module_names
            elif isinstance(node, ast.ImportFrom) and not node.level:
                assert (node.module or "").partition(".")[0] in sys.stdlib_module_names


def test_credentials_are_reread_after_10_s_and_kept_if_unreadable(tmp_path: Path) -> None:
    headers, client = tmp_path / "headers", tmp_path / "client"
    ca = authority(tmp_path)

    def replace(word: str) -> None:
        headers.write_text(f"Authorization: Bearer {word}\nImpersonate-User: jane\n")
        pair = signed(tmp_path, ca, word)
        client.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())

    replace("one")
    access = Access({"ca": "", "verify": True, "headers": str(headers), "client": str(client)}, 0)
    first = access.context
    replace("two")
    access.renew(9.9)
    assert (access.headers.split()[2], access.context) == ("one", first)
    access.renew(10)
    assert access.headers == "Authorization: Bearer two\r\nImpersonate-User: jane\r\n"
    second = access.context
    assert second is not first
    access.renew(20)
    assert access.context is second
    headers.unlink()
    client.write_text("half of a file")
    access.renew(30)
    assert (access.headers.split()[2], access.context) == ("two", second)


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "refused"),
        (ConnectionResetError(errno.ECONNRESET, "x"), "reset"),
        (BrokenPipeError(errno.EPIPE, "x"), "reset"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "unreachable"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "unreachable"),
        (asyncio.IncompleteReadError(b"", 3), "closed"),
        (OSError(errno.EPERM, "Not\npermitted"), "[Errno 1] Not permitted"),
        (OSError(), "OSError"),
    ],
)
def test_error_of_a_connection_has_a_short_description(error: Exception, wanted: str) -> None:
    assert describe(error) == wanted


def test_plan_may_get_routes_and_lose_them_while_the_program_runs(tmp_path: Path) -> None:
    async def sampled() -> Run:
        site = Site()
        await site.open()
        first, second, third = (request(f"http://{HOST}:{site.port}/{name}") for name in ("a", "b", "c"))
        run = await start(tmp_path, "it", {"a": first, "b": second}, interval=0.02, limit=10_000)
        await run.wait_for('"up"', 10)
        run.names.append("c")

        def replace(text: str) -> None:
            (tmp_path / "new").write_text(text)
            (tmp_path / "new").replace(tmp_path / "it.json")

        replace("{")
        await run.wait_for('"up"', 40)
        replace(json.dumps(plan([first, None, third], interval=0.02, limit=10_000)))
        await run.wait_for("[2,", 20)
        run.process.send_signal(signal.SIGTERM)
        await run.end(seconds=5)
        site.close()
        return run

    run = asyncio.run(sampled())
    assert run.code == 0
    first, second, third = (run.of(name) for name in ("a", "b", "c"))
    added = third[0].sent
    assert second[-1].sent < added < first[-1].sent
    assert all(sample.state == "up" for sample in (*first, *second, *third) if not sample.error.startswith("not sent in time"))
    # The route that stays is asked all the time.
    assert max(later.sent - earlier.sent for earlier, later in itertools.pairwise(first)) < 1
