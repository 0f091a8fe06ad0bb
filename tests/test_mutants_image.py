"""The node image with mutants: it is built where others are pulled, and gives every container the folder of the switches."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from kubechain.core import settings
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.progress import Progress
from kubechain.faults.mutants.catalogue import GUARDS
from kubechain.images import node, pins, resolve
from kubechain.images.mutation import BUILT_IN, SWITCHES
from tests.test_upgrade_kubeadm import Log


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> pins.Pins:
    """The pins with a public node image of the default version."""
    real = pins.load()
    pinned = replace(real.find(""), node=f"x/node:v{real.default}@sha256:1")
    changed = replace(real, kubernetes={real.default: pinned})
    monkeypatch.setattr(pins, "load", lambda: changed)
    return changed


def test_programs_with_mutants_are_built_though_a_public_image_is_there(tmp_path: Path, public: pins.Pins) -> None:
    log = Log(tmp_path, "image*inspect*) echo sha256:1;;")
    plain = resolve.provide(log.client, settings.load(), "", (), Progress())
    mutants = resolve.provide(log.client, settings.load(), "", GUARDS, Progress())
    assert (plain.mode, plain.node) == ("pulled", public.find("").node)
    assert (mutants.mode, mutants.node) == ("built", node.tag(public.find(""), public, GUARDS))


def test_programs_with_mutants_cannot_be_pulled(tmp_path: Path, public: pins.Pins) -> None:
    pull = settings.load().model_copy(update={"images": "pull"})
    with pytest.raises(SetupError) as caught:
        resolve.provide(Log(tmp_path, "").client, pull, "", GUARDS, Progress())
    assert caught.value.code == ExitCode.USAGE
    assert public.default in str(caught.value)


def test_containers_of_a_node_get_the_folder_besides_their_mounts(tmp_path: Path) -> None:
    (tmp_path / "etc/containerd").mkdir(parents=True)
    spec = tmp_path / "etc/containerd/cri-base.json"
    spec.write_text(json.dumps({"mounts": [{"destination": "/proc"}], "process": {"user": {}}}))
    # The folders of a node in another place, and its jq as a program of this machine's Python.
    (tmp_path / "bin").mkdir()
    jq = tmp_path / "bin/jq"
    jq.write_text(
        "#!/bin/sh\nexec python3 -S -c 'import json, re, sys; spec = json.load(open(sys.argv[2])); "
        'spec["mounts"] += json.loads(re.fullmatch(r"\\.mounts \\+= (.*)", sys.argv[1])[1]); print(json.dumps(spec))\' "$@"\n'
    )
    jq.chmod(0o755)
    script = node.SWITCHABLE.replace("/etc/", f"{tmp_path}/etc/").replace("/tmp/cri", f"{tmp_path}/cri")  # noqa: S108  # of a node
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    subprocess.run(["sh", "-c", script, "sh", "one", "two"], env=environment, check=True, timeout=20)
    folder = f"{tmp_path}{SWITCHES}"
    mount = {"destination": folder, "source": folder, "type": "bind", "options": ["rbind", "rw"]}
    assert json.loads(spec.read_text()) == {"mounts": [{"destination": "/proc"}, mount], "process": {"user": {}}}
    assert Path(f"{tmp_path}{BUILT_IN}").read_text() == "one\ntwo\n"
    assert Path(folder).stat().st_mode & 0o7777 == 0o1777
