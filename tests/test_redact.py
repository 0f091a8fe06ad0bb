import base64
import json
import string
import time

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
    "DB_PASS={}",
    "ACCESS_KEY={}",
    "AWS_ACCESS_KEY_ID: {}",
    "CREDENTIALS={}",
    "passphrase: {}",
    "Cookie: session={}; theme=dark",
    "Set-Cookie: id={}",
    '"cookie": "{}"',
)
# Secrets that show by their form, and what is left of them.
FORMS = {
    "DSN of MySQL": ("connect user:hunter2:2@tcp(db:3306)/app", f"connect user:{MARK}@tcp(db:3306)/app"),
    "DSN on a socket": ("root:hunter2@unix(/run/x)/a", f"root:{MARK}@unix(/run/x)/a"),
    "GitHub": ("cloning with ghp_" + "a1B2" * 9, f"cloning with {MARK}"),
    "GitHub OAuth": ("gho_" + "a1B2" * 9 + " is refused", f"{MARK} is refused"),
    "GitHub, fine-grained": ("github_pat_11AAAA_" + "a1B2" * 9, MARK),
    "GitLab": ("glpat-" + "a1B2-" * 4, MARK),
    "Slack bot": ("xoxb-123456789012-abcdef", MARK),
    "Slack user": ("xoxp-123456789012-abcdef", MARK),
    "AWS": ("key AKIAIOSFODNN7EXAMPLE is refused", f"key {MARK} is refused"),
    "Slack webhook": (
        "POST https://hooks.slack.com/services/T0/B0/xyz: 404",
        f"POST https://hooks.slack.com/services/{MARK} 404",
    ),
    "Discord webhook": ("https://discord.com/api/webhooks/1/abc", f"https://discord.com/api/webhooks/{MARK}"),
    "Teams webhook": ("https://x.webhook.office.com/webhookb2/1@2", f"https://x.webhook.office.com/{MARK}"),
    "Mattermost webhook": ("https://chat.example/hooks/" + "a1" * 13, f"https://chat.example/hooks/{MARK}"),
    "--password": ("`mysql --password hunter2 app` failed", f"`mysql --password {MARK} app` failed"),
    "--token": ("kubectl --token hunter2 get pods", f"kubectl --token {MARK} get pods"),
    "--auth-token": ("x --auth-token 'hunter2'", f"x --auth-token '{MARK}'"),
}
POD = """
spec:
  automountServiceAccountToken: false
  imagePullSecrets:
  - name: registry
  containers:
  - name: web
    env:
    - name: PASSES
      value: "3"
  volumes:
  - name: kube-api-access
    projected:
      sources:
      - serviceAccountToken:
          expirationSeconds: 3607
          path: token
  - name: tls
    secret:
      secretName: web-tls
"""


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
        "http://10.96.0.9:80/: refused (curl exit 7)",
        "The Secret MUST be mounted.",
        "a token is needed",
        "",
        POD,
        json.dumps(yaml.safe_load(POD)),
        "expected 3 passed, got 2 passed (waited 20.0 of 20 s: a rollout)",
        "expected secret registry, got none",
        "pods: 3 passed, 1 failed; PASS: 4",
        "cannot log in: use --token to name a token, or --password-stdin",
        "--pull-secret=/home/me/config.json: not a docker config.json with the field auths",
        "the client must provide credentials",
        "https://github.com/kubernetes/kubernetes/issues/1",
        "10.244.1.50:8081@udp",
        "node-a: Ready is False (KubeletNotReady: container runtime network not ready: NetworkReady=false)",
    ],
)
def test_text_without_secrets_stays_as_it_is(harmless: str) -> None:
    assert redact.text(harmless) == harmless


@pytest.mark.parametrize("form", FORMS)
def test_secret_is_known_by_its_form(form: str) -> None:
    plain, shown = FORMS[form]
    assert redact.text(plain) == shown
    assert redact.text(shown) == shown


@given(TOKENS, st.sampled_from(CONTEXTS))
def test_redacting_a_token_twice_changes_nothing_more(token: str, context: str) -> None:
    once = redact.text(context.format(token))
    assert redact.text(once) == once


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


def test_tree_hides_the_value_of_a_variable_named_like_a_secret() -> None:
    variables = [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "COLOR", "value": "blue"}]
    assert redact.tree(variables) == [{"name": "DB_PASSWORD", "value": MARK}, {"name": "COLOR", "value": "blue"}]


@pytest.mark.parametrize(
    "harmless",
    [
        "docker.io/library/nginx:1.29@sha256:" + "0a" * 32,
        "client.18a5f3c2d1e0b7f9",
        "GET /api/v1/namespaces/a%2Fb/pods?labelSelector=app%3Dweb",
        "L2hvbWUvbWUvbm90aGluZy1zZWNyZXQtaGVyZQ==",
        "http://[fd00::1]:8080/path@x",
    ],
)
def test_encoded_text_without_secrets_stays_as_it_is(harmless: str) -> None:
    assert redact.text(harmless) == harmless


def test_base64_over_several_lines_is_read_as_one() -> None:
    encoded = base64.encodebytes(b"x" * 50 + b" password: hunter2hunter2 " + b"y" * 50).decode()
    assert redact.text(encoded).strip() == MARK


@pytest.mark.parametrize("unit", ["x", "x/", "Ab3/", "--", "a:", "eyJ-", "a://b:", "%41", "password", "\\"])
def test_long_word_is_redacted_in_time_that_grows_with_its_length(unit: str) -> None:
    started = time.thread_time()
    redact.text(unit * (100_000 // len(unit)))
    assert time.thread_time() - started < 5
