"""A docker client whose engine is a JSON file, for tests."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

# A docker client whose engine is a JSON file: containers by id (cluster, owner), and networks.
ENGINE = """#!{python} -S
import json, sys
path = "{state}"
state = json.load(open(path))
words = sys.argv[1:]
label = next((w.rpartition("=")[2] for w in words if w.startswith("label=io.x-k8s.kind.cluster=")), None)
if words[0] == "version":
    print("27.0.0")
elif "{{{{.RunningFor}}}}" in words:
    print("2 hours ago")
elif words[0] in ("tag", "rmi"):
    state["tags"] = [*state.get("tags", []), words]
elif words[0] == "images":
    pass
elif words[0] == "ps":
    for identity, found in state["containers"].items():
        if "label=kubechain=1" in words:
            if "owner" in found:
                print("\\t".join([identity, found.get("cluster", ""), found["owner"]]))
        elif label is None and "{{{{.Names}}}}" not in words:
            if "cluster" in found:
                print(found["cluster"])
        elif label is None or found.get("cluster") == label:
            print(identity, found.get("image", ""), found.get("creation", ""))
elif words[0] == "rm":
    for identity in words[3:]:
        del state["containers"][identity]
elif words[:2] == ["network", "ls"]:
    print("bridge\\n" + "\\n".join(state["networks"]))
elif words[:2] == ["network", "inspect"]:
    print(len(state["containers"]))
elif words[:2] == ["network", "rm"]:
    state["networks"].remove(words[2])
json.dump(state, open(path, "w"))
"""


def engine_in(folder: Path) -> Path:
    """Return the state of an engine without containers; its docker client is beside it."""
    state = folder / "state.json"
    state.write_text(json.dumps({"containers": {}, "networks": ["kind"]}))
    docker = folder / "docker"
    docker.write_text(ENGINE.format(python=sys.base_prefix + "/bin/python3", state=state))
    docker.chmod(0o755)
    return state


def put(engine: Path, **containers: dict[str, str]) -> None:
    engine.write_text(json.dumps({"containers": containers, "networks": ["kind"]}))


def left(engine: Path) -> dict[str, Any]:
    return json.loads(engine.read_text())["containers"]


def client(engine: Path) -> Path:
    return engine.with_name("docker")
