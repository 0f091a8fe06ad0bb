"""The templates of pages: one way to make HTML of texts that anybody may have written."""

from __future__ import annotations

import contextlib
import html
import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket

FOLDER = Path(__file__).parent / "pages"
# Of a message at the top of a page; the whole message is further down.
MOST_AT_TOP = 240
# Control characters, which HTML does not permit, and those that change the direction of the text around them.
UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Compiled(FileSystemBytecodeCache):
    """Templates as byte code, kept where Python keeps that of a module, and if it may: to compile one takes 0.1 s."""

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read a template, if it is kept."""
        with contextlib.suppress(OSError):
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template, if it can be."""
        if not sys.dont_write_bytecode:
            with contextlib.suppress(OSError):
                Path(self.directory).mkdir(parents=True, exist_ok=True)
                super().dump_bytecode(bucket)


def environment(clean: Callable[[str], str] = str) -> Environment:
    """Return the environment of the templates, which escapes every text after `clean` has had it."""

    def shown(value: object) -> object:
        return "" if value is None else printable(clean(value)) if type(value) is str else value

    made = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=shown, bytecode_cache=Compiled(str(Path(importlib.util.cache_from_source(str(FOLDER / "page.py"))).parent)),
    )  # fmt: skip
    made.filters |= {"seconds": seconds, "short": short, "slug": slug}
    return made


def printable(text: str) -> str:
    """Return a text with a sign in place of each character that is not shown."""
    return UNSHOWN.sub("\ufffd", text)


def size(text: str) -> int:
    """Return how many bytes a text takes in a page at most."""
    return len(html.escape(printable(text)).encode())


def seconds(value: float) -> str:
    """Return a duration with three significant digits or so: "0.016 s", "1.25 s", "31.2 s", "240 s"."""
    digits = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f} s"


def short(text: str, most: int = MOST_AT_TOP) -> str:
    """Return a text, cut at a word if it is longer than `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1].rsplit(' ', 1)[0]} …"


def slug(name: str) -> str:
    """Return a name as the id of an element."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", name)
