"""Names of the cluster's DNS that are searched for, and that follow a Service that changes."""

from fixtures.chain import Create
from kubechain.claims import premises
from kubechain.claims.claim import ClaimDecorator
from kubechain.claims.requirements import EXEC, right
from kubechain.conditions import timeouts
from kubechain.conditions.dns import no_address, resolves_to, serves
from kubechain.observe.protocols import Eventually
from kubechain.workload import actions, service_manifests, sources
from kubechain.workload.chain import Chain
from kubechain.workload.service_manifests import CLUSTER_IP, EXTERNAL
from kubechain.workload.short_lived import require_short_lived

claim = ClaimDecorator("concepts/services-networking/dns-pod-service/", level="full", requires=(EXEC,))

EXTERNAL_NAME = "concepts/services-networking/service/#externalname"
# A name reserved for documentation (RFC 2606).
ANOTHER = "another.example.org"
# So many lookups that each replica of the DNS is asked, before and after: one of them alone may serve its cache for too long.
LOOKUPS = 10


@claim("CHAIN-DNS-220", spec="#srv-records", upstream="DNS, PQDN for services", premises=premises.SEARCH_LIST)
def test_srv_record_by_short_names(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A named port of a Service MUST have its SRV record also by names that the search list completes."""
    service, client = create(chain, service_manifests.two_port_service("srv-short")), chain.client
    for port_name, port in service_manifests.TWO_PORTS.items():
        ends = (service.name, f"{service.name}.{chain.namespace}", f"{service.name}.{chain.namespace}.svc")
        names = [f"_{port_name}._tcp.{end}" for end in ends]
        answers = sources.answers(chain, client, *names, record="SRV")
        eventually(answers, serves(port, chain.full_name(service.name, client)))


@claim("CHAIN-DNS-230", spec=EXTERNAL_NAME, upstream="DNS, for ExternalName Services", requires=[right("patch", "services")])
def test_alias_follows_a_changed_external_name(chain: Chain, create: Create, eventually: Eventually) -> None:
    """The alias of a Service MUST follow a change of its externalName, no later than the old record's time to live."""
    client = chain.client
    name = create(chain, service_manifests.external("renamed")).name
    full = chain.full_name(name, client)
    lookups = sources.answers(chain, client, *[full] * LOOKUPS, record="CNAME")
    eventually(lookups, resolves_to(f"{EXTERNAL['externalName']}."))
    ttl = require_short_lived(chain, client, full, "CNAME", LOOKUPS)
    actions.service(chain, {"externalName": ANOTHER}, name)
    eventually(lookups, resolves_to(f"{ANOTHER}."), within=timeouts.renewal(ttl))


@claim("CHAIN-DNS-240", spec="#services", upstream="DNS, for ExternalName Services", requires=[right("patch", "services")])
def test_name_follows_a_changed_type(chain: Chain, create: Create, eventually: Eventually) -> None:
    """The name of a Service that is changed from ExternalName to ClusterIP MUST resolve to its clusterIP, and be no alias."""
    client = chain.client
    name = create(chain, service_manifests.external("come-home")).name
    full = chain.full_name(name, client)
    aliases = sources.answers(chain, client, *[full] * LOOKUPS, record="CNAME")
    eventually(aliases, resolves_to(f"{EXTERNAL['externalName']}."))
    renewal = timeouts.renewal(require_short_lived(chain, client, full, "CNAME", LOOKUPS))
    address = str(actions.service(chain, service_manifests.serving(CLUSTER_IP), name).at("spec.clusterIP"))
    eventually(aliases, no_address(), within=renewal)
    eventually(sources.answers(chain, client, *[full] * LOOKUPS), resolves_to(address), within=renewal)
