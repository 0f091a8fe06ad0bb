"""`make watch-rounds`: whether the alerts of a watch come within two rounds and are resolved, and none of them is false.

Prometheus and Alertmanager, built from their Go modules, read the figures of `kubechain watch` on a kind cluster that faults of
the catalogue break, one after another: CLUSTER=NAME of a cluster that a run kept. Without one, a cluster on loopback with rounds
of seconds shows that this program works. Results: watching.md and watching.json.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path

from kubechain.core import cli
from kubechain.core.bundle import ROOT
from kubechain.core.durations import seconds, some_time
from kubechain.core.errors import HarnessError
from tests.go_programs import ALERTMANAGER, AMTOOL, PROMETHEUS, PROMTOOL
from tests.watching.grounds import FROZEN, ground
from tests.watching.records import summed_up, table
from tests.watching.rig import Rig
from tests.watching.servers import monitoring

# Faults on a kind cluster, and on the cluster on loopback.
ON_KIND, ON_LOOPBACK = ("dns-gone", "node-port-dropped"), ("dns-gone", "controller-frozen")
# Rounds before the first fault, and after the last.
QUIET = 2


def planned(faults: list[str], rounds: int) -> list[tuple[int, str]]:
    """Return (number of the round after which it is injected, fault): evenly over the rounds."""
    each = (rounds - QUIET) / max(1, len(faults))
    return [(QUIET + int(number * each), fault) for number, fault in enumerate(faults)]


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Watch a cluster as the command line says; return 0 if every alert was right and none false."""
    environment = os.environ.get
    parser = cli.Parser(prog="python -m tests.watching", description=__doc__)
    parser.add_argument(
        "--cluster", default=environment("KUBECHAIN_CLUSTER") or "", help="name of a kind cluster that a run kept"
    )
    parser.add_argument("--rounds", type=int, default=int(environment("KUBECHAIN_ROUNDS") or 0), help="number of rounds")
    parser.add_argument("--every", default=environment("KUBECHAIN_EVERY") or "", help="from round to round")
    parser.add_argument("--faults", default=environment("KUBECHAIN_FAULTS") or "", help="ids, in turn, separated by commas")
    parser.add_argument("--episodes", type=int, default=int(environment("WATCH_EPISODES") or 0), help="number of faults")
    parser.add_argument("--out", type=Path, default=environment("KUBECHAIN_OUT") or ROOT / "reports" / "watching", help="results")
    given = parser.parse_args()
    loopback = not given.cluster
    rounds = given.rounds or (24 if loopback else 100)
    every = some_time(given.every or ("2s" if loopback else "60s"))
    ids = given.faults.split(",") if given.faults else list(ON_LOOPBACK if loopback else ON_KIND)
    faults = [*islice(cycle(ids), given.episodes or (2 if loopback else 10)), FROZEN]
    out = Path(given.out).absolute()
    out.mkdir(parents=True, exist_ok=True)
    for program in (PROMTOOL, PROMETHEUS, AMTOOL, ALERTMANAGER):
        program.built()
    interval = seconds(every)
    # An API server that does not answer makes a round long, and so does a busy machine.
    deadline = max(600.0, 3 * interval)
    trouble, interrupted = list[str](), False
    with ground(given.cluster) as place, tempfile.TemporaryDirectory(prefix="monitoring-") as folder:
        rig = Rig(place, deadline, min(5.0, interval / 4), say)
        planned_faults = [(number, place.trouble(fault).fault) for number, fault in planned(faults, rounds)]
        words = ["--every", every, "--deadline", f"{round(deadline)}s", "--rounds", str(rounds)]
        with (
            rig.receiver.serving() as receiver,
            rig.watch(out / "watch", words) as target,
            monitoring(Path(folder), target, receiver, rig.read_every),
        ):
            try:
                for number, fault in planned_faults:
                    rig.until_round(number)
                    rig.episode(fault, rounds)
                rig.until_round(rounds)
            except HarnessError as error:
                trouble.append(str(error))
            except KeyboardInterrupt:
                interrupted = True
                trouble.append("interrupted")
    record = summed_up(rig.rounds, rig.episodes, rig.notices, trouble)
    whole = {"rounds": rig.rounds, "episodes": rig.episodes, "notices": rig.notices}
    listed = {name: [each.as_json() for each in some] for name, some in whole.items()}
    (out / "watching.json").write_text(json.dumps({**listed, "result": record.as_json()}, indent=2), encoding="utf-8")
    (out / "watching.md").write_text(table(record), encoding="utf-8")
    say(table(record))
    if interrupted:
        raise KeyboardInterrupt
    return int(not record.good)


if __name__ == "__main__":
    cli.main(main)
