"""A machine of stub programs (docker, dockerd, ip, iptables) on which an engine can be started, for tests."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from kubechain.cluster import docker_client, docker_daemon, docker_packages
from kubechain.cluster.docker_daemon import Daemon

# A docker client of an engine that answers at the addresses of a file; "context" is the endpoint of the docker context.
DOCKER = """#!{python} -S
import json, os, sys
state = json.load(open("{folder}/state.json"))
host = os.environ.get("DOCKER_HOST") or state["context"]
if sys.argv[1] == "--version":
    print(state["kind"])
elif sys.argv[1] == "context":
    sys.exit("context not found") if state["context"] == "missing" else print(state["context"])
elif sys.argv[1] == "version":
    print("27.0.0") if host in state["answering"] or ("{folder}" in host and os.path.exists(host[7:])) else sys.exit(state["why"])
"""
# A dockerd that serves its socket until SIGTERM, as its configuration says.
DOCKERD = """#!{python} -S
import json, os, signal, socket, sys
config = json.load(open(sys.argv[sys.argv.index("--config-file") + 1]))
server = socket.socket(socket.AF_UNIX)
server.bind(config["hosts"][0].replace("unix://", ""))
server.listen()
open(config["pidfile"], "w").write(str(os.getpid()))
def end(*_):
    os.unlink(config["pidfile"])
    os._exit(0)
signal.signal(signal.SIGTERM, end)
while True:
    signal.pause()
"""
# ip and iptables: routes and rules are the lines of a file; what is there already fails to be added, as with ip.
TABLE = """#!{python} -S
import pathlib, sys
name, words = pathlib.Path(sys.argv[0]).name, [word for word in sys.argv[1:] if word not in ("-w", "-6")]
log, table = pathlib.Path("{folder}/commands"), pathlib.Path("{folder}/table")
lines = table.read_text().splitlines() if table.exists() else []
verb = (words + [""])[name == "ip"]
words_of_entry = [word for word in words[2:] if word not in ("type", "exact")] if name == "ip" else words[1:]
entry = " ".join([name, *words_of_entry])
with log.open("a") as file:
    print(name, *words, file=file)
if verb in ("add", "-I"):
    sys.exit("File exists") if entry in lines else lines.append(entry)
elif verb in ("del", "-D"):
    sys.exit("No such process") if entry not in lines else lines.remove(entry)
elif verb == "show":
    print("it is there" if entry in lines else "", end="")
elif words == ["route"]:
    print("default via 192.0.2.1 dev eth0")
elif verb == "-n":
    sys.exit("no chain of Docker's")
elif verb == "-C":
    sys.exit(entry not in lines)
table.write_text("".join(line + "\\n" for line in lines))
"""
APT = '#!/bin/sh\necho "$@" >> {folder}/apt\n'


@contextmanager
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """Yield a machine without an engine, whose user is root: a folder with all its programs, and its docker client's state."""
    monkeypatch.setenv("PATH", str(tmp_path))
    # Set and not deleted: what the code under test sets is then undone after the test.
    monkeypatch.setenv(docker_client.VARIABLE, "")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(docker_client, "SOCKET", tmp_path / "no.sock")
    monkeypatch.setattr(docker_daemon, "RUN", tmp_path / "run")
    monkeypatch.setattr(docker_packages, "POLICY", tmp_path / "policy-rc.d")
    # Other engines of the machine that runs this test are no part of it.
    monkeypatch.setattr(psutil, "process_iter", psutil.Process().children)
    for name, text in {"docker": DOCKER, "dockerd": DOCKERD, "ip": TABLE, "iptables": TABLE, "ip6tables": TABLE}.items():
        program(tmp_path, name, text)
    for name in ("setsid", "sh"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    set_state(tmp_path)
    yield tmp_path
    process = Daemon(tmp_path / "cache").process()
    if process:
        process.kill()


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(text.replace("{python}", sys.base_prefix + "/bin/python3").replace("{folder}", str(folder)))
    path.chmod(0o755)


def set_state(folder: Path, **changed: object) -> None:
    state: dict[str, object] = {
        "kind": "Docker version 27.0.0, build x",
        "context": docker_client.DEFAULT,
        "answering": [],
        "why": "no daemon",
    }
    (folder / "state.json").write_text(json.dumps({**state, **changed}))


def table(folder: Path) -> list[str]:
    return (folder / "table").read_text().splitlines()
