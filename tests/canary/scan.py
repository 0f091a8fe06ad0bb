"""Search files and output for secrets in any encoding, and for parts of them."""

from __future__ import annotations

import base64
import binascii
import html
import re
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path

WINDOW = 12
BLOB = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
ESCAPED = re.compile(r"\\+u([0-9a-fA-F]{4})")
# What stands between the lines of a key: white space, escaped line breaks, and what a log or a message puts there.
BETWEEN = re.compile(r"(?:\\+[nrt]|[\s|>'\"])+")
DEPTH = 3


def windows(secret: str) -> set[str]:
    """Return the parts of a secret that are searched for: all of WINDOW characters, or a shorter secret as it is."""
    joined = BETWEEN.sub("", secret)
    return {joined[start : start + WINDOW] for start in range(max(1, len(joined) - WINDOW + 1))}


def readings(text: str, depth: int = DEPTH) -> Iterator[str]:
    """Yield a text as it is, without line breaks, and decoded: JSON, URLs, HTML, base64, also one in another."""
    yield text
    yield BETWEEN.sub("", text)
    if not depth:
        return
    plain = ESCAPED.sub(lambda match: chr(int(match[1], 16)), text).replace("\\/", "/").replace('\\"', '"')
    plain = html.unescape(urllib.parse.unquote(plain))
    if plain != text:
        yield from readings(plain, depth - 1)
    decoded = "\n".join(filter(None, map(_decoded, BLOB.findall(text))))
    if decoded:
        yield from readings(decoded, depth - 1)


def _decoded(blob: str) -> str:
    """Return the text that is encoded in base64, "" if it is none; a blob may begin in the middle of a group."""
    standard = blob.rstrip("=").translate(str.maketrans("-_", "+/"))
    for start in range(4):
        part = standard[start:]
        try:
            text = base64.b64decode(part[: len(part) // 4 * 4] + part[len(part) // 4 * 4 :].ljust(4, "=")).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
        if text.isprintable() or "\n" in text:
            return text
    return ""


class Search:
    """A search for these secrets and for parts of them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._parts = {part: secret for secret in secrets for part in windows(secret)}
        self._short = [part for part in self._parts if len(part) < WINDOW]

    def found(self, text: str) -> list[str]:
        """Return those secrets of which a part can be read in a text."""
        leaked: set[str] = set()
        for read in set(readings(text)):
            leaked.update(self._parts[part] for part in self._short if part in read)
            # Windows of the text, each made only once.
            present = self._parts.keys() & {read[start : start + WINDOW] for start in range(len(read) - WINDOW + 1)}
            leaked.update(self._parts[part] for part in present)
        return sorted(leaked)


def files(folder: Path) -> dict[Path, str]:
    """Return the text of every file below a folder; bytes that are no text are read as Latin-1."""
    return {path: path.read_bytes().decode("latin-1") for path in sorted(folder.rglob("*")) if path.is_file()}
