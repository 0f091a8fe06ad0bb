"""What docs/ACCESS.md has besides the ways: tests of the connection itself, and records of a cluster that is hard to reach."""

from __future__ import annotations

from dataclasses import dataclass

from tests.hostile.catalogue import RECORDS
from tests.test_handover import CASES

ONE_WAY = "test_handover.py::test_requests_commands_samplers_and_kubectl_go_one_way"


@dataclass(frozen=True)
class Row:
    """What people have, what happens, and the test: a file of `tests` and a function in it, or the id of a record."""

    text: str
    happens: str
    test: str


def _of_records(*ids: str) -> tuple[Row, ...]:
    found = {record.id: record for record in RECORDS}
    return tuple(
        Row(f"The cluster {found[id_].text}.", " or ".join(f"exit code {end}" for end in found[id_].allowed), id_) for id_ in ids
    )


ALL_CONNECT = "requests, watches, commands in Pods, samplers and kubectl connect"
SECTIONS: dict[str, tuple[Row, ...]] = {
    "One connection for all": (
        *(Row(name, ALL_CONNECT, ONE_WAY) for name in CASES),
        Row(
            "`as`, `as-uid`, `as-groups`, `as-user-extra`.",
            "every request, watch and command is sent as that user",
            "test_impersonation.py::test_every_request_watch_and_exec_is_sent_as_the_user",
        ),
        Row(
            "kubectl (proxy, port-forward, expose) on a kubeconfig that it would refuse.",
            "it gets one of the resolved context alone",
            "test_handover.py::test_kubeconfig_for_kubectl_is_one_that_it_reads",
        ),
        Row(
            "Any proxy, and a watch that is silent.",
            "the watch can be interrupted",
            "test_handover.py::test_watch_through_a_proxy_is_interrupted",
        ),
        Row(
            "`upgrade during` through a proxy that is down, or refuses.",
            "samples are unknown, no outage, unless it says that the server is down",
            "test_handover.py::test_proxy_that_fails_is_no_outage_unless_it_says_that_the_server_is_down",
        ),
        Row(
            "`upgrade during` on a server without TLS, with credentials or a proxy.",
            "exit code 16",
            "test_handover.py::test_server_without_tls_that_needs_credentials_is_not_sampled",
        ),
        Row(
            "`upgrade during`, with secrets of any sort.",
            "the files for the samplers end with them",
            "test_handover.py::test_sampler_of_an_upgrade_leaves_no_secret_and_keeps_its_samples",
        ),
        Row(
            "Certificates and keys as text, tokens, passwords.",
            "files that only the user reads, which end with the run",
            "test_api_borders.py::test_credentials_are_written_readable_for_their_owner_only",
        ),
    ),
    "Credentials that change during a run": (
        Row(
            "A credential plugin, several processes and connections.",
            "it runs once",
            "test_credentials.py::test_plugin_runs_once_for_all_connections_and_threads",
        ),
        Row(
            "A plugin whose credentials expire (`expirationTimestamp`).",
            "it runs again when they have expired",
            "test_credentials.py::test_plugin_runs_again_when_its_token_has_expired",
        ),
        Row(
            "A plugin whose token the server rejects.",
            "it runs again once, and the request is repeated",
            "test_credentials.py::test_rejected_token_of_a_plugin_is_renewed_once_and_the_request_repeated",
        ),
        Row(
            "A tokenFile whose token the server rejects.",
            "it is read again, and the request is repeated",
            "test_credentials.py::test_rejected_token_of_a_file_is_read_again",
        ),
        Row(
            "A token that is rejected when a command in a Pod begins.",
            "it is renewed, and the command is started",
            "test_credentials.py::test_exec_renews_a_rejected_token",
        ),
        Row(
            "A tokenFile that is removed, or being written.",
            "the token that was read last remains in use",
            "test_rotation.py::test_token_whose_file_cannot_be_read_any_more_remains_in_use",
        ),
        Row(
            "Files of a client certificate that are replaced.",
            "new connections have the new one",
            "test_rotation.py::test_client_certificate_that_is_replaced_is_used",
        ),
        Row(
            "Files of a client certificate of which one is replaced, or missing.",
            "the pair that was read last remains in use",
            "test_rotation.py::test_client_certificate_that_is_replaced_in_part_or_removed_remains_in_use",
        ),
        Row(
            "A client certificate that the server rejects with 401.",
            "it is read again, and the request is repeated if it is new",
            "test_rotation.py::test_rejected_client_certificate_is_read_again_and_the_request_repeated",
        ),
        Row(
            "An auth-provider `oidc` whose token has expired.",
            "it is renewed in memory; the kubeconfig is never written",
            "test_kubeconfig.py::test_new_token_of_an_auth_provider_is_used_and_not_written",
        ),
        Row(
            "`upgrade during`, and credentials that expire.",
            "those of the samplers are renewed 30 s before",
            "test_handover.py::test_credentials_of_a_sampler_are_renewed_before_they_expire",
        ),
        Row(
            "`upgrade during`, and credentials that are replaced.",
            "the sampler reads them again every 10 s",
            "test_sampler_program.py::test_credentials_are_reread_after_10_s_and_kept_if_unreadable",
        ),
        Row(
            "`upgrade during`, and 401.",
            "samples are unknown, no outage",
            "test_sampler_http.py::test_route_has_the_result_of_its_answer",
        ),
        *_of_records("UNAUTHORIZED-ONCE", "UNAUTHORIZED-EVER"),
    ),
    "Connections that are slow, break, or lead elsewhere": (
        Row(
            "A load balancer that closes connections.",
            "what may be repeated is repeated",
            "test_lost_connections.py::test_request_that_may_be_repeated_survives_broken_connections",
        ),
        *_of_records(
            "WATCH-CUT",
            "WATCH-HALF-OPEN",
            "WATCH-HALF-OPEN-ALWAYS",
            "WATCH-SILENT",
            "RESET-CREATE",
            "EXEC-HANGS",
            "EXEC-BREAKS",
            "THROTTLED",
            "THROTTLED-EVER",
            "FAILING-EVER",
            "SLOW",
            "SLOW-LIST",
            "TRICKLE",
            "HTML",
            "HTML-ONCE",
        ),
    ),
    "Rights": (
        Row(
            "No rights at all.",
            "exit code 18: all that is missing in one line, with API groups and the command that prints a role",
            "test_rights_runs.py::test_run_without_a_right_of_every_claim_ends_and_names_all_in_one_line",
        ),
        Row(
            "The first request is refused.",
            "exit code 18, with the whole list as well",
            "test_rights_runs.py::test_refused_first_request_does_not_hide_the_other_missing_rights",
        ),
        Row(
            "Some rights.",
            "claims that need others are skipped with the reason",
            "test_rights_runs.py::test_claims_without_their_rights_are_skipped_with_the_reason_before_anything_is_made",
        ),
        Row(
            "Impersonation.",
            "the rights that are checked are those of the impersonated user",
            "test_rights.py::test_impersonated_user_is_checked_and_named",
        ),
    ),
}
