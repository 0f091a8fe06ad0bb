"""Checks of the values of settings."""

from __future__ import annotations

import re
import reprlib
import shlex
from urllib.parse import urlsplit

# Values of a file, which may be of any size, in a message of one line.
SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 100
# Sentences of pydantic -> words of this project.
WORDS = {
    r"Extra inputs are not permitted": "no such field",
    r"Field required": "is missing",
    r"Value error, ": "",
    r", unable to parse string as an? \w+": "",
    r"a valid dictionary( or instance of \w+)?": "a mapping (NAME: VALUE)",
    r"'', ": "",
    r"String should have at least 1 character": "expected a value",
    r"Input should be greater than or equal to (\S+)": r"expected \1 or more",
    r"Input should be greater than (\S+)": r"expected more than \1",
    r"Input should be less than or equal to (\S+)": r"expected \1 or less",
    r"Input should be less than (\S+)": r"expected less than \1",
    r"Input should be": "expected",
}


def in_our_words(message: str) -> str:
    """Return what pydantic says of a value in the words of this project."""
    for theirs, ours in WORDS.items():
        message = re.sub(theirs, ours, message)
    return message


def shown(value: object) -> str:
    """Return a value as a message shows it, shortened."""
    return SHORT.repr(value)


def urls(text: str) -> str:
    """Return URLs separated by commas; ValueError if one is none of HTTP, or has a password: it would be in results."""
    for url in filter(None, map(str.strip, text.split(","))):
        try:
            parts = urlsplit(url)
            host = parts.hostname if parts.port != 0 else None
        except ValueError as error:
            raise ValueError(f"expected URLs of HTTP, got {url} ({error})") from error
        if parts.scheme not in ("http", "https") or not host or re.search(r"\s", url):
            raise ValueError(f"expected URLs of HTTP, got {url}")
        if parts.username or parts.password:
            raise ValueError("expected URLs without a name and a password, because the results show them")
    return text


def words_of_shell(command: str) -> str:
    """Return a command whose words a shell would tell apart; ValueError if a quotation is not closed."""
    try:
        shlex.split(command)
    except ValueError as error:
        raise ValueError(f"not a command: {error}") from error
    return command
