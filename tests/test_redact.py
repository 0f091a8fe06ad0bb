import base64
import json
import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubechain.core import redact
from kubechain.core.redact import MARK

JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl-_x"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7\nq8d==\n-----END RSA PRIVATE KEY-----"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIDBTCCAe2gAwIBAgI\n-----END CERTIFICATE-----"
TOKENS = st.text(string.ascii_letters + string.digits + "-_.~+/=", min_size=8, max_size=60)
CONTEXTS = (
    "Authorization: Bearer {}",
    "authorization: bearer {}\r\nHost: x",
    "Authorization: Basic {}",
    "proxy-authorization: Basic {}",
    "token: {}",
    "  token: {}\n  other: 1",
    "token={}&x=1",
    '{{"token": "{}"}}',
    "{{'access_token': '{}'}}",
    "API_TOKEN={}",
    "X-Auth-Token: {}",
    "password: {}",
    '"password":"{}"',
    "DB_PASSWORD={} started",
    "client-key-data: {}",
    "client-certificate-data: {}",
    "certificate-authority-data: {}",
    'clientSecret = "{}"',
    "apiKey: {}",
    "api-key={}",
    "PRIVATE_KEY={}",
    '"auth": "{}"',
    '{{"identitytoken":"{}"}}',
    "curl -H 'Authorization: Bearer {}' https://x",
)


@given(TOKENS, st.sampled_from(CONTEXTS))
def test_token_never_leaks(token: str, context: str) -> None:
    shown = redact.text(f"before\n{context.format(token)}\nafter")
    assert MARK in shown
    assert token not in shown
    assert shown.startswith("before\n")
    assert shown.endswith("\nafter")


@given(st.text(string.ascii_letters + string.digits + "-._~!$&()*+,;=", min_size=1, max_size=40))
def test_password_in_an_address_never_leaks(password: str) -> None:
    shown = redact.text(f"cloning https://user:{password}@git.example/x.git")
    assert shown == f"cloning https://user:{MARK}@git.example/x.git"


@pytest.mark.parametrize("secret", [JWT, PEM, CERTIFICATE])
def test_jwts_keys_and_certificates_are_hidden_anywhere_in_a_text(secret: str) -> None:
    shown = redact.text(f"error: cannot use {secret} for this")
    assert shown == f"error: cannot use {MARK} for this"


def test_truncated_key_is_hidden_to_the_end() -> None:
    assert redact.text("x " + PEM[:50]) == f"x {MARK}"


def test_token_in_json_inside_json_is_hidden() -> None:
    inner = json.dumps({"token": "s3cr3t-s3cr3t"})
    assert "s3cr3t" not in redact.text(json.dumps({"annotation": inner}))


def test_secret_over_several_lines_of_yaml_is_hidden() -> None:
    assert "hunter2hunter2" not in redact.text(yaml.safe_dump({"password": "hunter2hunter2\nline"}, default_style="|"))


def test_value_of_an_environment_variable_named_like_a_secret_is_hidden() -> None:
    variable = [{"name": "DB_PASSWORD", "value": "hunter2hunter2"}]
    shown = redact.text(yaml.safe_dump({"env": variable}, sort_keys=False))
    assert "hunter2hunter2" not in shown


@pytest.mark.parametrize(
    "harmless",
    [
        "expected exactly 2 ready Pods with app=web, got 1 of 2 ready: web-a: Ready is False (waited 60.0 of 60 s: image)",
        "chain broken at ENDPOINTS: no ready address",
        "http://10.96.0.9:80/: refused curl exit 7",
        "The Secret MUST be mounted.",
        "a token is needed",
        "",
    ],
)
def test_text_without_secrets_stays_as_it_is(harmless: str) -> None:
    assert redact.text(harmless) == harmless


@given(st.text(string.printable, max_size=80))
def test_redacting_twice_changes_nothing_more(plain: str) -> None:
    once = redact.text(plain)
    assert redact.text(once) == once


def secret(**over: object) -> dict[str, object]:
    data = base64.b64encode(b"hunter2hunter2").decode()
    return {"kind": "Secret", "metadata": {"name": "s"}, "data": {"a": data}, "stringData": {"b": "plain-text"}, **over}


def test_data_of_a_secret_is_hidden_and_its_keys_are_shown() -> None:
    shown = redact.resource(secret())
    assert shown["data"] == {"a": MARK}
    assert shown["stringData"] == {"b": MARK}


def test_secret_without_data_is_accepted() -> None:
    assert redact.resource({"kind": "Secret", "metadata": {}, "data": None})["data"] is None


def test_last_applied_annotation_is_removed() -> None:
    applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(secret())}
    body = secret(metadata={"name": "s", "annotations": applied})
    assert "plain-text" not in json.dumps(redact.resource(body))


def test_managed_fields_are_removed_from_a_copy() -> None:
    body = {"kind": "Pod", "metadata": {"name": "a", "managedFields": [1]}, "data": {"x": "1"}}
    assert redact.resource(body) == {"kind": "Pod", "metadata": {"name": "a"}, "data": {"x": "1"}}
    assert body["metadata"] == {"name": "a", "managedFields": [1]}


def test_tree_is_redacted_in_every_string_and_keeps_its_form() -> None:
    tree = {"a": [f"Bearer {JWT}", 1, None, True, {"b": "token=abcdefgh"}], "c": 2.5}
    shown = redact.tree(tree)
    assert shown == {"a": [f"Bearer {MARK}", 1, None, True, {"b": f"token={MARK}"}], "c": 2.5}


def test_tree_hides_a_value_whose_key_is_named_like_a_secret() -> None:
    assert "hunter2hunter2" not in json.dumps(redact.tree({"password": "hunter2hunter2"}))
