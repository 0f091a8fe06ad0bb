"""Secrets that a run knows are hidden wherever they stand; ordinary words stay."""

from __future__ import annotations

import base64
import json
import stat
import sys
import time
from pathlib import Path

import pytest

from kubechain.core import known_secrets, redact, registries
from kubechain.core.known_secrets import FOLDER
from kubechain.core.process import run
from kubechain.core.redact import MARK
from kubechain.kube import credentials
from kubechain.kube.credentials import Credential
from kubechain.kube.errors import refusal
from kubechain.kube.kubeconfig import read
from tests.canary.forms import Maker
from tests.canary.keys import CONTEXT, Keys


def test_password_of_a_pair_in_base64_is_hidden_alone_too() -> None:
    known_secrets.remember(base64.b64encode(b"robot:quiet-river-stone").decode())
    assert redact.text("login with quiet-river-stone failed for robot") == f"login with {MARK} failed for robot"


@pytest.mark.parametrize("word", ["admin", "secret1", "", None])
def test_short_value_hides_no_ordinary_word(word: str | None) -> None:
    known_secrets.remember(word)
    assert redact.text("the admin has secret1") == "the admin has secret1"


@pytest.mark.parametrize("secret", ['"river": "stone"', '\\"quiet-river', "\\quiet-river", "/quiet/river", "a\\\\\"b'c/quiet"])
def test_secret_with_quotes_and_backslashes_is_hidden_and_read_in_time(secret: str) -> None:
    known_secrets.remember(secret)
    for shown in (secret, json.dumps(secret), json.dumps(json.dumps(secret)), "\\" * 5 + secret):
        assert "river" not in redact.text(f"it said {shown}!")
        assert "quiet" not in redact.text(f"it said {shown}!")
    started = time.thread_time()
    for row in ("\\", '"', "\\/", '\\\\"'):
        redact.text(row * (100_000 // len(row)))
    assert time.thread_time() - started < 10


def test_other_process_knows_the_secret_from_a_private_file(tmp_path: Path) -> None:
    secrets = tmp_path / "run" / "secrets"
    known_secrets.remember("quiet-river-stone", folder=secrets)
    (file,) = (secrets / FOLDER).iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (secrets / FOLDER, file)] == [0o700, 0o600]
    code = (
        "import sys; from pathlib import Path; from kubechain.core import known_secrets, redact\n"
        "known_secrets.recall(Path(sys.argv[1])); print(redact.text('quiet-river-stone'))"
    )
    assert run([sys.executable, "-c", code, secrets], timeout=20).stdout.strip() == MARK


def test_variables_named_like_secrets_are_hidden_and_others_stay() -> None:
    known_secrets.of_environment(
        {"SHOP_PASSWORD": "quiet-river-stone", "KUBECHAIN_PULL_SECRET": "/home/me/config.json", "PATH": "/usr/local/bin"}
    )
    shown = redact.text("quiet-river-stone /home/me/config.json /usr/local/bin")
    assert shown == f"{MARK} /home/me/config.json /usr/local/bin"


@pytest.mark.parametrize("kind", ["token", "password", "tokenFile", "exec", "key"])
def test_credentials_of_every_kind_of_user_are_known(tmp_path: Path, kind: str) -> None:
    keys = Keys(tmp_path, f"user {kind}")
    entry = read(keys.kubeconfig("http://127.0.0.1:1", kind), CONTEXT)
    secrets = tmp_path / "secrets"
    used: Credential = credentials.of(entry, secrets).get()
    assert used.authorization or used.key
    planted = [secret for secret, what in keys.secrets.items() if kind == "key" or what != "client-key-data"]
    for secret in planted:
        assert redact.text(f"it said {secret}!") == f"it said {MARK}!"
        assert MARK in redact.text(f"in JSON {json.dumps(json.dumps(secret))}")


def test_every_entry_of_a_pull_secret_is_known(tmp_path: Path) -> None:
    keys = Keys(tmp_path, "pull secret")
    registries.credentials(keys.pull_secret("ghcr.io/a/b"), ["ghcr.io/a/b"])
    assert keys.secrets
    assert [redact.text(secret) for secret in keys.secrets] == [MARK] * len(keys.secrets)


def test_last_lines_of_a_program_show_no_part_of_a_key() -> None:
    key = Maker("last lines").pem()
    done = run([sys.executable, "-c", "import sys; sys.exit(sys.argv[1])", key], timeout=20)
    assert done.last_words == MARK


def test_answer_is_redacted_before_it_is_cut() -> None:
    token = Maker("cut").jwt()
    page = f"{'x' * 150} {token}"
    assert str(refusal(502, page)).endswith(MARK)
    assert str(refusal(403, json.dumps({"message": f"denied: {token}"}))).endswith(f"denied: {MARK}")
