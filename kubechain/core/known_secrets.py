"""The secrets that a run knows: credentials of its kubeconfig, its pull secret, its environment. They are hidden literally."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path

from kubechain.core import secret_files

# A shorter value may be an ordinary word, or a part of one.
LEAST_CHARACTERS = 8
# Characters before which JSON, also JSON in JSON, YAML and Python write any number of backslashes, with those that are there.
ESCAPED = re.compile(r"(\\*)([\"'/])|(\\+)")
# Subfolder of the keys to the cluster, with one file for each secret, so that all processes of a run know it.
FOLDER = "known"
# Variables whose value is a secret; those of the project name files, or other variables.
VARIABLE = re.compile(
    r"(?!KUBECHAIN_).*(?:PASSWORD|PASSWD|PASSPHRASE|_PASS|SECRET|TOKEN|API_?KEY|ACCESS_KEY|PRIVATE_KEY)", re.IGNORECASE
)

_lock = threading.Lock()
_values: set[str] = set()
# Of every value its spellings and, if quoted text escapes it, a pattern; the longest value first, so that no rest of it remains.
_forms: tuple[tuple[tuple[str, ...], re.Pattern[str] | None], ...] = ()


def remember(*values: object, folder: Path | None = None) -> None:
    """Hide these values from now on; with `folder`, the folder of the keys to the cluster, in all processes of the run.

    A value in base64 is also hidden decoded, and of a pair USER:PASSWORD the password. None, "" and values of less than
    LEAST_CHARACTERS are ignored.
    """
    global _forms  # noqa: PLW0603  # secrets are known to the whole process
    wanted = {value.strip() for value in map(str, filter(None, values)) if len(value.strip()) >= LEAST_CHARACTERS}
    with _lock:
        if wanted <= _values:
            return
        if folder:
            for value in wanted - _values:
                secret_files.written(folder / FOLDER, value.encode())
        _values.update(wanted)
        parts = sorted({part for value in _values for part in _parts(value)}, key=lambda part: (-len(part), part))
        _forms = tuple((_spellings(part), re.compile(_any_backslashes(part)) if ESCAPED.search(part) else None) for part in parts)


def recall(folder: Path) -> None:
    """Hide the values too that other processes of the run remembered with `folder`."""
    remember(*(path.read_text(encoding="utf-8") for path in (folder / FOLDER).glob("*")))


def of_environment(variables: Mapping[str, str]) -> None:
    """Remember the values of environment variables that are named like secrets."""
    remember(*(value for name, value in variables.items() if VARIABLE.fullmatch(name)))


def hide(plain: str, mark: str) -> str:
    """Return a text with `mark` in place of every known secret, in whatever encoding it stands there."""
    for spellings, pattern in _forms:
        for spelling in spellings:
            if spelling in plain:
                plain = plain.replace(spelling, mark)
        if pattern:
            plain = pattern.sub(lambda _: mark, plain)
    return plain


def _spellings(part: str) -> tuple[str, ...]:
    """Return how a text is written, the longest first."""
    return tuple(sorted(set(_encoded(part)), key=lambda each: (-len(each), each)))


def _parts(value: str) -> set[str]:
    """Return what of a value is secret: itself, decoded from base64, the password of a pair, and each line of several."""
    decoded = _decoded(value)
    password = (decoded or value).partition(":")[2]
    parts = {value, decoded, password if "\n" not in password else ""}
    # The first and the last line of a key in PEM format are no secrets.
    lines = {line.strip() for part in parts for line in part.splitlines() if not line.startswith("-----")}
    return {part for part in {*parts, *lines} if len(part) >= LEAST_CHARACTERS}


def _any_backslashes(part: str) -> str:
    """Return a regular expression for a text in which quoted text has added backslashes.

    It reads a row of backslashes once: it begins at the first of them, and asks for the row in one piece. One that may begin at
    each of them takes minutes for a text that holds many.
    """
    pattern, done = "", 0
    for match in ESCAPED.finditer(part):
        before, quote, alone = match.groups(default="")
        pattern += re.escape(part[done : match.start()]) + (r"\\+" if before or alone else r"\\*") + quote
        done = match.end()
    return (r"(?<!\\)" if pattern.startswith("\\\\") else "") + pattern + re.escape(part[done:])


def _encoded(part: str) -> Iterator[str]:
    """Yield a text as it is and as URLs, JSON, HTML and base64 write it."""
    yield part
    yield from (urllib.parse.quote(part, safe=""), urllib.parse.quote(part), urllib.parse.quote_plus(part))
    yield json.dumps(part)[1:-1]
    yield from (html.escape(part), html.escape(part, quote=False))
    # In the base64 of a longer text, a part begins at one of three places of a group; what its neighbours change is left out.
    for before in range(3):
        text = base64.b64encode(b"\0" * before + part.encode()).decode().rstrip("=")
        core = text[(0, 2, 3)[before] : len(text) - 1]
        if len(core) >= LEAST_CHARACTERS:
            yield from (core, core.translate(str.maketrans("+/", "-_")))


def _decoded(value: str) -> str:
    """Return the text that a value is in base64, "" if it is none."""
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return text if text.isprintable() or "-----BEGIN" in text else ""
