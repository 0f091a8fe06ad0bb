"""What the processes of a run tell each other of links: whose gates are shut, and which a claim has found broken."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from kubechain.claims.claim import Link
from kubechain.claims.obstacles import Obstacle


@dataclass
class ShutGates:
    """Shut gates, obstacles, and failed links; `folder` is shared by the processes of a run, None for a process alone."""

    folder: Path | None = None
    _shut: dict[Link | Obstacle, str] = field(default_factory=dict[Link | Obstacle, str])
    _failed: set[Link] = field(default_factory=set[Link])

    def shut(self, link: Link | Obstacle, why: str) -> None:
        """Shut the gate of a link, or stop before an obstacle, for every process of the run; the first reason counts."""
        self._shut.setdefault(link, why)
        if self.folder:
            self.folder.mkdir(exist_ok=True)
            new = self.folder / f".{link}-{id(self)}"
            new.write_text(why, encoding="utf-8")
            new.replace(self.folder / link)

    def fail(self, link: Link) -> None:
        """Remember, for every process of the run, that a claim of this link has said that the link is broken."""
        self._failed.add(link)
        if self.folder:
            self.folder.mkdir(exist_ok=True)
            (self.folder / f"{link}.failed").touch()

    def has_failed(self, link: Link) -> bool:
        """Whether a claim of this link has said that the link is broken."""
        return link in self._failed or (self.folder is not None and (self.folder / f"{link}.failed").exists())

    def why_shut(self, link: Link | Obstacle) -> str | None:
        """Return why the gate of a link is shut, or what the obstacle is, None if it is not known to be."""
        if link not in self._shut and self.folder and (self.folder / link).exists():
            self._shut[link] = (self.folder / link).read_text(encoding="utf-8")
        return self._shut.get(link)
