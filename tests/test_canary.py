"""No secret of any form gets from any place into what is published: the short form, without a cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubechain.core import known_secrets, publish, redact
from tests.canary import artifacts, scan
from tests.canary.forms import Maker, forms
from tests.canary.keys import Keys
from tests.canary.watching import open_to_others
from tests.test_run import project

# One encoding of each kind; `make canary` looks at all of them in every file.
SHORT = ("plain", "JSON in JSON")


def leaks(texts: dict[str, str], secrets: dict[str, str]) -> list[str]:
    search = scan.Search(secrets)
    return [f"{secrets[secret]}: {name}" for name, text in texts.items() for secret in search.found(text)]


@pytest.mark.parametrize("place", artifacts.PLACES)
def test_secret_is_hidden_in_what_is_printed(place: str) -> None:
    planted = forms(place)
    around = artifacts.PLACES[place]
    # One text for each: the end of a key must not hide the next secret.
    printed = {
        f"{form.name}, {name}": redact.text(around(artifacts.ENCODINGS[name](form.shown))) for form in planted for name in SHORT
    }
    assert leaks(printed, {secret: form.name for form in planted for secret in form.secrets}) == []


@pytest.mark.parametrize("name", artifacts.FILES)
def test_secret_is_hidden_in_every_type_of_file(tmp_path: Path, name: str) -> None:
    run, out, planted = tmp_path / "out" / ".runs" / "mine", tmp_path / "out", forms(name)
    for number, form in enumerate(planted):
        for encoding, encode in artifacts.ENCODINGS.items():
            folder = run / f"{number}-{encoding.replace(' ', '-')}"
            folder.mkdir(parents=True)
            (folder / name).write_text(artifacts.FILES[name](encode(form.shown)))
    publish.publish(run, out)
    texts = {str(path): text for path, text in scan.files(out).items()}
    assert len(texts) == len(planted) * len(artifacts.ENCODINGS) + len([publish.MANIFEST, ".lock"])
    assert leaks(texts, {secret: form.name for form in planted for secret in form.secrets}) == []


@pytest.mark.parametrize("secret", [Maker("hard").hard(), Maker("key").pem(), Maker("word").word(8)])
@pytest.mark.parametrize("encoding", artifacts.ENCODINGS)
def test_known_secret_of_no_form_is_hidden_in_every_encoding(secret: str, encoding: str) -> None:
    known_secrets.remember(secret)
    for place, around in artifacts.PLACES.items():
        shown = redact.text(around(artifacts.ENCODINGS[encoding](f"value {secret} here")))
        parts = [line for line in secret.splitlines() if not line.startswith("-----")]
        assert scan.Search(parts).found(shown) == [], place


CLAIMS = '''
import json, os, sys, warnings
from pathlib import Path
import pytest
from kubechain.claims.claim import claim
from kubechain.conditions.condition import Condition, unmet
from kubechain.conditions.timeouts import Timeout
from kubechain.core.process import check
from kubechain.diagnostics.evidence import Section
from kubechain.kube.client import Api
from kubechain.kube.errors import refusal
from kubechain.observe.wait import Polled
from kubechain.pytest.state import run_state

TEXTS = json.loads(Path(os.environ["TEXTS"]).read_text())

@pytest.mark.parametrize("number", range(len(TEXTS)))
@claim("T-PODS-010", spec="x")
def test_unmet(eventually, clock, number):
    """It MUST be met."""
    print(TEXTS[number])
    print(TEXTS[number], file=sys.stderr)
    eventually(Polled("x", lambda: 1, clock), Condition("two", lambda n: unmet(TEXTS[number])), within=Timeout(0, "now"))

@claim("T-PODS-020", spec="x")
def test_refused():
    """It MUST be accepted."""
    raise refusal(403, json.dumps({"reason": "Forbidden", "message": "\\n".join(TEXTS)}))

@claim("T-PODS-030", spec="x")
def test_program():
    """It MUST succeed."""
    check([sys.executable, "-c", "import sys; sys.exit(sys.argv[1])", "\\n".join(TEXTS)], timeout=20)

@claim("T-PODS-040", spec="x")
def test_credentials(request):
    """It MUST connect."""
    for name in ("token", "password", "tokenFile", "exec", "key"):
        Api(Path(os.environ["KEYS"], f"kubeconfig-{name}"), "canary", run_state(request.config).run.secrets).close()
    raise AssertionError(os.environ["KNOWN"])
'''


def test_secret_is_in_nothing_that_a_run_publishes_or_prints(tmp_path: Path) -> None:
    planted = forms("run")
    keys = Keys(tmp_path, "run")
    for kind in ("token", "password", "tokenFile", "exec", "key"):
        keys.kubeconfig("http://127.0.0.1:1", kind)
    variables = keys.environment()
    (tmp_path / "texts").write_text(json.dumps([form.shown for form in planted]))
    given = {"TEXTS": str(tmp_path / "texts"), "KEYS": str(tmp_path), "KNOWN": "\n".join(keys.secrets), **variables}
    folder = tmp_path / "project"
    folder.mkdir()
    done = project(folder, (), given, CLAIMS)
    assert done.code == 1, done.output
    assert len(done.run["claims"]) == len(planted) + 3
    texts = {str(path): text for path, text in scan.files(done.out).items()} | {"stdout": done.output}
    secrets = {secret: form.name for form in planted for secret in form.secrets} | keys.secrets
    assert leaks(texts, secrets) == []


LOOKING = '''
import os
from pathlib import Path
from kubechain.claims.claim import claim
from tests.canary.watching import open_to_others

@claim("T-PODS-010", spec="x")
def test_folder():
    """It MUST be private."""
    assert open_to_others([Path(os.environ["KUBECHAIN_OUT"], ".runs")]) == []
'''


def test_nobody_else_can_read_the_folder_of_a_run(tmp_path: Path) -> None:
    done = project(tmp_path, (), {}, LOOKING)
    assert done.code == 0, done.output


def test_search_finds_a_part_of_a_secret_in_every_encoding() -> None:
    secret = Maker("search").word(30)
    for encoding, encode in artifacts.ENCODINGS.items():
        assert scan.Search([secret]).found(f"x {encode(f'it is {secret[3:20]}')} y") == [secret], encoding
    assert scan.Search([secret]).found(f"x {secret[:11]}") == []


def test_folder_that_others_can_enter_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "closed").mkdir(mode=0o700)
    assert open_to_others([tmp_path]) == ["open: drwxr-xr-x"]
