"""Runs the suite as a user with exactly the rights of a generated role, and compares the role with the audit log.

Nothing may be refused, and every right of the role must be used. With --without, each of these rights is then taken away in turn:
the claims that need it are skipped, and the others pass. All that is created on the cluster is deleted.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kubechain.claims.rights import ALLOWING, CORE, OTHER_POLICIES, YIELDING
from kubechain.cluster import docker_engine
from kubechain.core import cli
from kubechain.core.default_folders import default_cache
from kubechain.core.errors import HarnessError
from kubechain.kube.rights import Right, right
from reports import catalogue, rights
from tests.ledger import Ledger, code
from tests.rights import audit_log, deprived
from tests.rights.account import Admin, account, named_anew
from tests.rights.audit_log import Uses
from tests.rights.own_cluster import LOGS, admin_of
from tests.rights.proofs import ROLES, Proof
from tests.rights.rows import Row, prints, say

# The log is written after the answer.
LOG_SECONDS = 2.0
# They are used only on a cluster that denies traffic in new namespaces, that has webhooks, or where a drain waits, and of the
# kinds of policies that a cluster has.
SELDOM = (
    ALLOWING.requirement.rights | OTHER_POLICIES.requirement.rights | YIELDING.requirement.rights | {right("get", "services")}
)
# Roles with which claims run, of which rights can be taken away.
TAKEN_FROM = ("run", "namespace", "disruptive")
ALL = "all"


def prove(role: rights.Role, admin: Admin, log: str, words: list[str]) -> Row:
    """Prove one role; print what was refused, what was unused, and what claims declare in vain."""
    name, role, objects = named_anew(role)
    user = f"system:serviceaccount:{name}:{name}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with account(admin, objects, name, folder) as kubeconfig:
            proof = Proof(admin, name, kubeconfig, folder, [*words])
            ROLES[role.name](proof)
            threading.Event().wait(LOG_SECONDS)
        with subprocess.Popen([*shlex.split(log), user], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            found = audit_log.uses(process.stdout, user)
    if not found.requests:
        raise HarnessError(f"`{log} {user}` prints no request: the API server needs an audit log of all users, level Metadata")
    unused = unused_of(role, found)
    problems = [*found.refused, *proof.failed, *(f"unused: {each}" for each in unused)]
    for line in problems:
        say(line)
    for claim in role.claims:
        idle = audit_log.idle(claim, found)
        if idle:
            say(f"{claim.id} declares and did not use: {', '.join(map(str, idle))}")
    figures = (
        f"{found.requests} requests, refused {len(found.refused)}, unused {len(unused)} of {len(role.rights)} rights, "
        f"commands that failed {len(proof.failed)}"
    )
    return Row(f"role {role.name}", figures, problems)


def unused_of(role: rights.Role, found: Uses) -> list[Right]:
    """Return the rights of a role that nobody used, without those that only some clusters ask for."""
    return sorted(each for each in role.rights - found.rights.keys() if plain(role, each) not in SELDOM)


def plain(role: rights.Role, granted: Right) -> Right:
    """Return a right of a role as claims declare it, without the namespace of a role in one."""
    return replace(granted, namespace="") if role.inside else granted


def deprive(role: rights.Role, taken: Right, admin: Admin, words: Sequence[str]) -> Row:
    """Run the claims that need a right, and one of each sort, without it."""
    skipped, wrong = deprived.trouble(role, taken, admin, words)
    return Row(f"{role.name} without {taken}", f"{skipped} skipped, wrong {len(wrong)}", wrong)


def takeable(role: rights.Role, chosen: Sequence[str]) -> list[Right]:
    """Return which rights to take from a role: those chosen ("get pods/proxy"), or ("all") each that some claims do not need."""
    core = (CORE.inside or frozenset[Right]()) if role.inside else CORE.rights
    every = sorted({plain(role, each) for each in role.rights} - core)
    return [each for each in every if ALL in chosen or str(each) in chosen]


def main() -> int:
    """Prove the roles that the command line names, and take rights away; return 1 if one is not exact."""
    environment = os.environ.get
    parser = cli.Parser(prog="python -m tests.rights", description=__doc__)
    parser.add_argument("--context", default=environment("KUBECHAIN_CONTEXT", ""), help="of a user who may create roles")
    parser.add_argument("--kubeconfig", default=environment("KUBECHAIN_KUBECONFIG", ""))
    # Not inherited by the runs, which are on a context.
    cluster = os.environ.pop("KUBECHAIN_CLUSTER", "")
    parser.add_argument("--cluster", default=cluster, help="name of a kind cluster with an audit log, made for this and removed")
    parser.add_argument("--roles", default=environment("RIGHTS_ROLES") or "run,namespace,upgrade,clean", help="with commas")
    parser.add_argument(
        "--without", default=environment("RIGHTS_WITHOUT", ""), help="rights to take away then, with commas, or all"
    )
    parser.add_argument("--only-without", action="store_true", help="take rights away, and prove no role")
    parser.add_argument(
        "--ledger", type=Path, default=environment("RIGHTS_LEDGER") or None, help="file of the results, to go on from"
    )
    parser.add_argument("--log", help="command that prints the lines of the audit log with the text that follows it")
    options, words = parser.parse_known_args()
    names = [each.strip() for each in options.roles.split(",")]
    if set(names) - set(ROLES):
        parser.error(f"roles are {', '.join(ROLES)}")
    chosen = [each.strip() for each in options.without.split(",") if each.strip()]
    ledger, rows = Ledger(options.ledger, code("tests/rights")), list[Row]()
    every = rights.roles([(entry.nodeid, entry.claim) for entry in catalogue.collect()])
    roles = [every[name] for name in names]
    with admin_of(options.context, options.kubeconfig, options.cluster) as (admin, images), prints(rows, ledger) as run:
        words += images
        # The context of a kind cluster has its name: kind-NAME, or kubernetes-admin@NAME on the node.
        node = admin.context.rpartition("@")[-1].removeprefix("kind-") + "-control-plane"
        docker_engine.find(default_cache())
        log = options.log or f"docker exec {node} grep -F -h -r --include=audit*.log {LOGS} -e"
        for role in [] if options.only_without else roles:
            run(f"role {role.name}", lambda role=role: prove(role, admin, log, words))
        for role in [each for each in roles if each.name in TAKEN_FROM]:
            for taken in takeable(role, chosen):
                run(f"{role.name} without {taken}", lambda role=role, taken=taken: deprive(role, taken, admin, words))
    return int(any(row.problems for row in rows))


if __name__ == "__main__":
    cli.main(main)
