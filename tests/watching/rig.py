"""A watch, a Prometheus and an Alertmanager on a cluster that is broken now and then."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import cast

from kubechain.core.bundle import ROOT
from kubechain.core.errors import HarnessError
from kubechain.results.fleet import State
from tests.watching.grounds import Ground
from tests.watching.records import Alert, Episode, Notice, Round
from tests.watching.servers import Receiver

LINE = re.compile(r"  (\S+) (holds|broken|undecided): (.*)")
METRICS = re.compile(r"http://([^/]+)/metrics")
# Prometheus reads the figures and evaluates the rules so many times before an alert must have come.
READS = 3
SPARE_SECONDS = 5.0
# A run that is told to end removes its namespaces first, and so does the watch.
END_SECONDS = 180.0


@dataclass
class Rig:
    """The rounds and the alerts so far; `deadline` is the longest time between the ends of two rounds, in seconds."""

    ground: Ground
    deadline: float
    read_every: float
    say: Callable[[str], None]
    changed: threading.Condition = field(default_factory=threading.Condition)
    rounds: list[Round] = field(default_factory=list[Round])
    episodes: list[Episode] = field(default_factory=list[Episode])
    ended: bool = False

    def __post_init__(self) -> None:
        self.receiver = Receiver(self.changed)

    @property
    def notices(self) -> list[Notice]:
        """What Alertmanager has sent so far."""
        return self.receiver.notices

    @contextmanager
    def watch(self, out: Path, words: Sequence[str]) -> Generator[str]:
        """Run `kubechain watch` while the body runs; yield HOST:PORT of its figures."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KUBECHAIN_")}
        cache = {"KUBECHAIN_CACHE": os.environ["KUBECHAIN_CACHE"]} if os.environ.get("KUBECHAIN_CACHE") else {}
        environment = {**kept, **cache, **self.ground.options}
        argv = [sys.executable, "-m", "kubechain", "watch", "--context", self.ground.context, "--port", "0", "--out", str(out)]
        argv += ["--kubeconfig", str(self.ground.kubeconfig), *words]
        with subprocess.Popen(
            argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout
            try:
                line = process.stdout.readline()
                found = METRICS.search(line)
                if not found:
                    raise HarnessError(f"kubechain watch: {line or 'it said nothing'}")
                threading.Thread(target=self._read, args=(process,), name="watch", daemon=True).start()
                yield found[1]
            finally:
                process.terminate()
                try:
                    process.wait(END_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()

    def _read(self, process: subprocess.Popen[str]) -> None:
        """Take a line of the watch for each round, until it ends."""
        assert process.stdout
        for line in process.stdout:
            found = LINE.match(line)
            if not found:
                self.say(line.rstrip())
                continue
            began = datetime.fromisoformat(found[1]).timestamp()
            state = cast("State", found[2])
            with self.changed:
                self.rounds.append(Round(began=began, ended=time.time(), state=state, verdict=found[3]))
                self.say(f"round {len(self.rounds):3} {found[2]:9} {found[3][:100]}")
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def until_round(self, number: int) -> None:
        """Wait until so many rounds have ended.

        Raises:
            HarnessError: the watch ended before, or a round took longer than the deadline.

        """
        for each in range(len(self.rounds) + 1, number + 1):
            if not self._until(partial(self._has, each), self.deadline):
                why = "the watch ended" if self.ended else f"round {each} did not end within {self.deadline:.0f} s"
                raise HarnessError(f"expected {number} rounds, got {len(self.rounds)}: {why}")

    def _has(self, number: int) -> bool:
        return len(self.rounds) >= number

    def _rounds_since(self, moment: float, wanted: Callable[[Round], bool] = lambda _: True) -> int:
        # The begin of a round is known to the second.
        return sum(each.began >= moment and wanted(each) for each in self.rounds)

    def _until(self, reached: Callable[[], bool], seconds: float) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.ended or reached(), seconds) and reached()

    def _sent(self, alert: Alert, since: float, *, firing: bool) -> Callable[[], bool]:
        def sent() -> bool:
            return any(each.alert == alert and each.firing is firing and each.at >= since for each in self.notices)

        return sent

    def episode(self, fault: str, last: int) -> None:
        """Inject a fault, wait for its alert, heal it and wait until the alert is resolved; at most until round `last`."""
        trouble = self.ground.trouble(fault)
        episode = Episode(fault=fault, at=str(trouble.at), began=time.time())
        self.episodes.append(episode)
        self.say(f"  {fault}: injecting")
        try:
            try:
                self.ground.inject(fault)
                episode = self._kept(episode, injected=time.time())
                self._until_rounds(lambda: self._rounds_since(episode.injected) >= trouble.rounds, last)
                if not self._until(self._sent(trouble.alert, episode.began, firing=True), self._patience):
                    episode = self._kept(episode, trouble=f"no such alert after {trouble.rounds} rounds")
            finally:
                self.ground.heal(fault)
                episode = self._kept(episode, healed=time.time())
                self.say(f"  {fault}: healed")
            self._until_rounds(lambda: self._rounds_since(episode.healed, lambda each: each.state == "holds") > 0, last)
            self._until(self._sent(trouble.alert, episode.healed, firing=False), self._patience)
        except HarnessError as error:
            episode = self._kept(episode, trouble=str(error))
        self._kept(episode, over=time.time())

    @property
    def _patience(self) -> float:
        return READS * self.read_every + SPARE_SECONDS

    def _until_rounds(self, reached: Callable[[], bool], last: int) -> None:
        while not reached():
            if len(self.rounds) >= last:
                raise HarnessError(f"round {last} came before the end of the episode")
            self.until_round(len(self.rounds) + 1)

    def _kept(self, episode: Episode, **changes: object) -> Episode:
        """Return an episode with changes, which also takes the place of the last one."""
        self.episodes[-1] = episode.model_copy(update=changes)
        return self.episodes[-1]
