"""docs/HOSTILE.md and docs/ACCESS.md, from the records: `python -m tests.hostile.document --write`, or --check."""

from __future__ import annotations

import sys

from kubechain.core import cli
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode
from tests.hostile import access_document
from tests.hostile.catalogue import MODULES, RECORDS
from tests.hostile.records import Record

HEAD = """# Misbehaving clusters

Generated from the records in `tests/hostile` by `make catalogue`; `make lint` fails if it is stale.

Each record is a cluster on loopback that misbehaves in one way: an API server over TLS, with the controllers, nginx at the
address of each Pod, and kube-proxy at each clusterIP and nodePort. A whole run of the command goes against it, in a process
of its own. A run passes if its exit code and its verdict line are among the allowed ones, its output has no traceback, it
ends within the time stated, and it leaves no namespace, no cordon and no watch.

`make test` runs the records marked *short*, one of each kind; `make hostile` runs all of them (`N=2` in two processes), those
whole runs of other tests that `make test` leaves out (more signals, phases and disks that become full, closed outputs, the
same in xdist workers, in a history, a watch, a night or a part of a suite), and 2,000 examples of each property in place of
50. Then `make hostile SECONDS=600` draws sequences of two to four records for that long: whatever they do together, a chain
that is whole is never called broken. How clusters are reached, and what comes of it, is in [access](ACCESS.md).

At its end `make hostile` counts the runs and their ends, wrong verdicts, hangs, tracebacks, leftovers and secrets shown.
`LEDGER=FILE` writes each result to a file as it comes, with the code that it is of: the next `make hostile LEDGER=FILE` runs what
has not held yet on the present code. The times below are for an idle machine; `SLOWNESS=4` multiplies them on a loaded one.
"""


def markdown() -> str:
    """Return the document."""
    parts = [HEAD, f"{len(RECORDS)} records.\n"]
    for module in MODULES:
        title = (module.__doc__ or "").split("\n")[0].removeprefix("Records of ").rstrip(".")
        rows = "\n".join(map(_row, module.RECORDS))
        head = "| record | the cluster | allowed ends | says | at most |\n|---|---|---|---|---|"
        parts.append(f"## {title[0].upper()}{title[1:]}\n\n{head}\n{rows}\n")
    return "\n".join(parts)


def _row(record: Record) -> str:
    command = "" if record.command[0] == "run" else f" (`kubechain {record.command[0]}`)"
    ends = "<br>".join(map(str, record.allowed))
    says = f"`{record.says}`" if record.says else ""
    name = f"{record.id}{' *short*' if record.short else ''}"
    return f"| {name} | {record.text}{command} | {ends} | {says} | {record.seconds:.0f} s |"


DOCUMENTS = {ROOT / "docs" / "HOSTILE.md": markdown, ROOT / "docs" / "ACCESS.md": access_document.markdown}


def main() -> int:
    """Write the documents, or check them; return 1 if `--check` finds a stale one."""
    parser = cli.Parser(prog="python -m tests.hostile.document", description="Write or check docs/HOSTILE.md and docs/ACCESS.md.")
    modes = parser.add_mutually_exclusive_group(required=True)
    modes.add_argument("--write", action="store_true", help="write the documents")
    modes.add_argument("--check", action="store_true", help="fail if one is stale")
    write, code = parser.parse_args().write, ExitCode.HOLDS
    for path, text in DOCUMENTS.items():
        if write:
            path.write_text(text(), encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text():
            sys.stderr.write(f"{path.relative_to(ROOT)} is stale: run `make catalogue`\n")
            code = ExitCode.CHAIN_BROKEN
    return code


if __name__ == "__main__":
    cli.main(main)
