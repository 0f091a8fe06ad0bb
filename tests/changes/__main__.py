"""Make changes on a kind cluster with `kubechain during`, and check what is said of each: `make changes CLUSTER=NAME`.

The cluster is one that a run kept. The results are in changes.md in the folder of the results; each run has its own beside it.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from pathlib import Path

from kubechain.cluster import kind
from kubechain.core import cli
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, HarnessError
from kubechain.core.process import check
from kubechain.images.docker import Docker
from tests import kept
from tests.changes.judging import Tried, table, tried
from tests.changes.records import CHANGES, Change, script_of
from tests.kept import Kept
from tests.upgrades.child import follow

UNDO_SECONDS = 300.0


def make(change: Change, found: Kept, docker: Docker, nodes: list[str], out: Path) -> Tried:
    """Make a change with `kubechain during`, put it back, and return what was said of it."""
    file = out / f"{change.id}.sh"
    file.write_text(script_of(change.script, str(docker.client), nodes), encoding="utf-8")
    words = ["during", "--context", found.context, "--kubeconfig", str(found.kubeconfig)]
    try:
        finished = follow([*words, "--command", shlex.join(["sh", str(file)])], out / change.id, found.settings)
    finally:
        if change.undo:
            undo = script_of(change.undo, str(docker.client), nodes)
            check(["sh", "-c", undo], timeout=UNDO_SECONDS, code=ExitCode.HARNESS, doing=f"undoing {change.id}")
    return tried(change, finished.run(), finished.document().verdict)


def main() -> int:
    """Make the changes; return 0 if of each is said what must be."""
    environment = os.environ.get
    parser = cli.Parser(prog="python -m tests.changes", description=__doc__)
    parser.add_argument("--cluster", default=environment("KUBECHAIN_CLUSTER"), help="name of a kind cluster that a run kept")
    parser.add_argument("--changes", default=environment("CHANGES_IDS") or "", help="ids separated by commas; default: all")
    parser.add_argument("--out", default=environment("KUBECHAIN_OUT") or ROOT / "reports" / "changes", help="results")
    given = parser.parse_args()
    if not given.cluster:
        parser.error("name a kind cluster that a run kept: CLUSTER (--cluster)")
    ids = [each for each in str(given.changes).split(",") if each]
    if unknown := sorted({*ids} - {change.id for change in CHANGES}):
        parser.error(f"--changes {','.join(unknown)}: choose from {', '.join(change.id for change in CHANGES)}")
    out = Path(given.out).absolute()
    out.mkdir(parents=True, exist_ok=True)
    done: list[Tried] = []
    docker = kept.engine()
    if docker is None:
        raise HarnessError("no container engine answers", ExitCode.ENGINE)
    listed = docker.call("ps", "--filter", f"label={kind.NODE_LABEL}={given.cluster}", "--format", "{{.Names}}")
    nodes = sorted(name for name in listed.split() if not name.endswith(kind.LOAD_BALANCER))
    with tempfile.TemporaryDirectory(prefix="changes-") as folder:
        found = kept.kept(docker, given.cluster, Path(folder))
        for change in CHANGES:
            if not ids or change.id in ids:
                done.append(make(change, found, docker, nodes, out))
                sys.stdout.write(f"{'BAD' if done[-1].problems else 'ok '} {change.id}: {done[-1].line}\n")
                sys.stdout.flush()
                (out / "changes.md").write_text(table(done), encoding="utf-8")
    sys.stdout.write(table(done))
    return int(any(each.problems for each in done))


if __name__ == "__main__":
    cli.main(main)
