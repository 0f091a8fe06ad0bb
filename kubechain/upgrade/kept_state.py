"""The state of a run in a Pod, kept in a ConfigMap: the Pod that follows an evicted one goes on from there."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import Json
from kubechain.upgrade import observed
from kubechain.upgrade.observed import Observed
from kubechain.upgrade.sample_store import KEPT, NODES, ROUTES

# The entry of the ConfigMap, which holds a MiB at most with all else.
ENTRY, MOST_BYTES = "state.json.gz", 900_000
SNAPSHOT, BEFORE, WITNESSES = "snapshot.json", "before.json", "witnesses"
# The folder of samples, and the cluster after the upgrade; for phases, beside the snapshot.
SAMPLES, AFTER = "asked", "after.json"
FILES = (SNAPSHOT, BEFORE, WITNESSES, f"{SNAPSHOT}.{AFTER}", observed.OBSERVED)


@dataclass
class KeptState:
    """A folder whose files are kept in a ConfigMap; samples are kept condensed, not as the samplers wrote them."""

    api: Api
    namespace: str
    name: str
    folder: Path
    written: bytes = b""

    def restore(self) -> bool:
        """Write the kept files into the folder; return whether there were any.

        Raises:
            SetupError: the ConfigMap has something else (exit code SNAPSHOT).

        """
        (self.folder / SAMPLES).mkdir(parents=True, exist_ok=True)
        found = self.api.get("ConfigMap", self.namespace, self.name)
        entries: Json = (found.at("binaryData") if found else None) or {}
        packed = str(entries.get(ENTRY, ""))
        if not packed:
            return False
        try:
            files: dict[str, str] = json.loads(gzip.decompress(base64.b64decode(packed)))
            for name, text in files.items():
                if Path(name).is_absolute() or ".." in Path(name).parts:
                    raise ValueError(name)
                (self.folder / name).write_text(text, encoding="utf-8")
            # Another version of kubechain may have written it.
            self.observed()
        except (ValueError, OSError, EOFError, AttributeError, TypeError, binascii.Error) as error:
            what = f"--state={self.namespace}/{self.name}: not the state of a run; delete the ConfigMap to begin anew"
            raise SetupError(what, ExitCode.SNAPSHOT) from error
        return True

    def save(self) -> None:
        """Write the ConfigMap if a file has changed; HarnessError if that is not possible now, or if it is too large."""
        asked = (file for suffix in (KEPT, ROUTES, NODES) for file in (self.folder / SAMPLES).glob(f"*{suffix}"))
        paths = [*(self.folder / name for name in FILES), self.folder / SAMPLES / "began", *sorted(asked)]
        files = {str(path.relative_to(self.folder)): path.read_text(encoding="utf-8") for path in paths if path.exists()}
        packed = gzip.compress(json.dumps(files).encode(), mtime=0)
        if packed == self.written:
            return
        text = base64.b64encode(packed).decode()
        if len(text) > MOST_BYTES:
            raise HarnessError(f"the state of the run has {len(text):,} bytes, of {MOST_BYTES:,} that fit into a ConfigMap")
        self._put({ENTRY: text})
        self.written = packed

    def clear(self) -> None:
        """Keep nothing: the run has ended."""
        self._put(None)

    def _put(self, data: Json | None) -> None:
        body: Json = {"binaryData": data}
        try:
            self.api.patch("ConfigMap", self.namespace, self.name, body)
        except ApiRefused as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise
            made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": self.name}, **body}
            self.api.create(made, self.namespace)

    def observed(self) -> Observed:
        """Return what earlier runs saw."""
        return observed.read(self.folder)
