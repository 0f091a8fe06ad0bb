"""Finding the Service from inside a Pod: by environment variables and by DNS."""

from fixtures.claims import Link, claim
from fixtures.conditions.answers import all_welcome, no_such_name, resolves_to, service_variables, variables_are
from fixtures.given import Eventually
from fixtures.observe import deadlines
from fixtures.workload.chain import Chain, url
from fixtures.workload.manifests import SERVICE_PORT, WEB, WELCOME

ENVIRONMENT = "concepts/services-networking/service/#environment-variables"
DNS = "concepts/services-networking/dns-pod-service/"


@claim("CHAIN-ENV-010", link=Link.ENV, spec=ENVIRONMENT, upstream="Environment variables, services")
def test_later_pod_has_seven_variables(chain: Chain, eventually: Eventually) -> None:
    """A Pod started after a Service MUST have its seven variables, with the clusterIP and the port."""
    variables = service_variables(WEB, chain.cluster_ip, SERVICE_PORT)
    eventually(chain.environment(chain.client), variables_are(WEB, variables), within=deadlines.CONTROLLER)


@claim("CHAIN-ENV-020", link=Link.ENV, spec=ENVIRONMENT, after=[Link.DNS])
def test_earlier_pod_has_no_variable(chain: Chain, eventually: Eventually, late_service: str) -> None:
    """A Pod started before a Service MUST have no variable of it, also once the Service is known to the cluster."""
    client = chain.client
    eventually(chain.answers(client, late_service), resolves_to(chain.address(late_service)), within=deadlines.DNS)
    eventually(chain.environment(client), variables_are(late_service, {}), within=deadlines.CONTROLLER)


@claim("CHAIN-DNS-010", link=Link.DNS, spec=DNS + "#a-aaaa-records", upstream="DNS, services")
def test_short_name_resolves(chain: Chain, eventually: Eventually) -> None:
    """The name of a Service MUST resolve to exactly its clusterIP in Pods of its namespace."""
    eventually(chain.answers(chain.client, WEB), resolves_to(chain.cluster_ip), within=deadlines.DNS)


@claim("CHAIN-DNS-020", link=Link.DNS, spec=DNS + "#namespaces-of-services", upstream="DNS, services")
def test_name_with_namespace_resolves(chain: Chain, eventually: Eventually) -> None:
    """The name service.namespace MUST resolve to exactly the clusterIP of that Service."""
    name = f"{WEB}.{chain.namespace}"
    eventually(chain.answers(chain.client, name), resolves_to(chain.cluster_ip), within=deadlines.DNS)


@claim("CHAIN-DNS-030", link=Link.DNS, spec=DNS + "#a-aaaa-records", upstream="DNS, services")
def test_full_name_resolves(chain: Chain, eventually: Eventually) -> None:
    """The name service.namespace.svc.domain MUST resolve to exactly the clusterIP of that Service."""
    client = chain.client
    eventually(chain.answers(client, chain.full_name(WEB, client)), resolves_to(chain.cluster_ip), within=deadlines.DNS)


@claim(
    "CHAIN-DNS-040",
    link=Link.DNS,
    spec=DNS + "#services",
    upstream="DNS, cluster",
    after=[Link.CLUSTERIP],
)
def test_page_is_fetched_by_each_name(chain: Chain, eventually: Eventually) -> None:
    """A Pod that asks the Service by each of its names MUST be answered by nginx."""
    client = chain.client
    urls = [url(name) for name in chain.names_of(WEB, client)]
    eventually(chain.pages_inside(client, *urls), all_welcome(WELCOME), within=deadlines.DNS)


@claim("CHAIN-DNS-050", link=Link.DNS, spec=DNS + "#services", upstream="DNS, cluster", after=[Link.CLUSTERIP])
def test_names_work_from_a_backend(chain: Chain, eventually: Eventually) -> None:
    """A Pod of the Service itself MUST reach the Service by each of its names, at exactly the clusterIP."""
    backend = chain.inside(chain.pods[0])
    urls = [url(name) for name in chain.names_of(WEB, backend)]
    eventually(chain.pages_inside(backend, *urls), all_welcome(WELCOME, at=chain.cluster_ip), within=deadlines.DNS)


@claim("CHAIN-DNS-060", link=Link.DNS, spec=DNS + "#services", upstream="DNS, cluster")
def test_unknown_name_does_not_exist(chain: Chain, eventually: Eventually) -> None:
    """The name of a Service that does not exist MUST be answered with NXDOMAIN, while a Service's name resolves."""
    client = chain.client
    eventually(chain.answers(client, chain.full_name(WEB, client)), resolves_to(chain.cluster_ip), within=deadlines.DNS)
    eventually(chain.answers(client, chain.full_name("absent", client)), no_such_name(), within=deadlines.DNS)
