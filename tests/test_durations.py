"""Durations, which every option takes alike."""

from __future__ import annotations

import pytest

from kubechain.cli.parser import parse
from kubechain.core.durations import seconds
from kubechain.core.errors import SetupError


@pytest.mark.parametrize(("text", "wanted"), [("90", 90), ("90s", 90), ("30m", 1800), ("1.5h", 5400), (" 2m ", 120), (0.0, 0)])
def test_durations(text: object, wanted: float) -> None:
    assert seconds(text) == wanted


@pytest.mark.parametrize(
    ("command", "option", "name"),
    [
        ("watch", "every", "every"),
        ("watch", "deadline", "deadline"),
        ("during", "for", "for_"),
        ("during", "ask-allowance", "ask_allowance"),
    ],
)
def test_every_option_takes_the_same_durations(command: str, option: str, name: str) -> None:
    for text, wanted in {"90": 90, "90s": 90, " 15m ": 900, "1.5h": 5400, "0.007m": 0.42}.items():
        assert seconds(getattr(parse((command, f"--{option}={text}")), name)) == wanted
    for text in ("soon", "1d", "-3m", "9999999", "1e3", "15 m"):
        with pytest.raises(SetupError, match=f"^--{option}={text}: expected a duration such as 90s, 15m or 2h "):
            parse((command, f"--{option}={text}"))
