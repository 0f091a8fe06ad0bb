"""Discovery of the Service inside a Pod: by environment variables and by DNS."""

from fixtures.chain import Create
from kubechain.claims import premises
from kubechain.claims.claim import ClaimDecorator, Link
from kubechain.claims.requirements import DNS_SERVICE, DUAL_STACK, EXEC, right
from kubechain.conditions import endpoints, timeouts
from kubechain.conditions.dns import no_address, no_such_name, resolves_to, reverse_name, searches, serves
from kubechain.conditions.env import has_variables, multi_port_variables, service_variables, variables_are
from kubechain.conditions.http import all_welcome
from kubechain.kube.families import RECORDS, other_family
from kubechain.observe.protocols import Eventually
from kubechain.workload import actions, manifests, released, service_manifests, sources, started_later
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import SERVICE_PORT, WEB, WELCOME
from kubechain.workload.short_lived import require_short_lived
from kubechain.workload.two_families import cluster_ips_of_both
from kubechain.workload.urls import url

claim = ClaimDecorator("concepts/services-networking/dns-pod-service/", requires=(EXEC,))

# So many that each replica of the DNS is asked, before and after: one of them alone may serve its cache for too long.
LOOKUPS = 10
ENVIRONMENT = "concepts/services-networking/service/#environment-variables"


@claim("CHAIN-ENV-010", spec=ENVIRONMENT, upstream="Pods, service environment variables", opens=True)
def test_later_pod_has_seven_variables(chain: Chain, eventually: Eventually) -> None:
    """A Pod started after a Service MUST have its seven variables, with the clusterIP and the port."""
    variables = service_variables(WEB, chain.cluster_ip, SERVICE_PORT)
    place = started_later.place(chain, eventually, WEB, chain.client, started_later.kept)
    eventually(sources.environment(chain, place), variables_are(WEB, variables))


@claim("CHAIN-ENV-020", spec=ENVIRONMENT)
def test_earlier_pod_has_no_variable(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A Pod started before a Service MUST have no variable of it, also once a later Pod has them."""
    late = create(chain, service_manifests.service(name="late")).name
    first = chain.ready_inside(create(chain, manifests.client_pod("after-late", chain.client_image)).name)
    later = started_later.place(chain, eventually, late, first, create)
    variables = service_variables(late, chain.address(late), SERVICE_PORT)
    eventually(sources.environment(chain, later), variables_are(late, variables))
    eventually(sources.environment(chain, chain.client), variables_are(late, {}))


@claim("CHAIN-DNS-010", spec="#a-aaaa-records", upstream="DNS, services", opens=True)
def test_short_name_resolves(chain: Chain, eventually: Eventually) -> None:
    """The name of a Service MUST resolve to exactly its clusterIP in Pods of its namespace."""
    eventually(sources.answers(chain, chain.client, WEB), resolves_to(chain.cluster_ip))


@claim("CHAIN-DNS-020", spec="#namespaces-of-services", upstream="DNS, services")
def test_name_with_namespace_resolves(chain: Chain, eventually: Eventually) -> None:
    """The name service.namespace MUST resolve to exactly the clusterIP of that Service."""
    name = f"{WEB}.{chain.namespace}"
    eventually(sources.answers(chain, chain.client, name), resolves_to(chain.cluster_ip))


@claim("CHAIN-DNS-030", spec="#a-aaaa-records", upstream="DNS, services")
def test_full_name_resolves(chain: Chain, eventually: Eventually) -> None:
    """The name service.namespace.svc.domain MUST resolve to exactly the clusterIP of that Service."""
    client = chain.client
    eventually(sources.answers(chain, client, chain.full_name(WEB, client)), resolves_to(chain.cluster_ip))


@claim("CHAIN-DNS-040", spec="#services", upstream="DNS, cluster", after=[Link.CLUSTERIP], premises=premises.REACHED)
def test_page_is_fetched_by_each_name(chain: Chain, eventually: Eventually) -> None:
    """A Pod that asks the Service by each of its names MUST be answered by nginx."""
    client = chain.client
    urls = [url(name) for name in chain.names_of(WEB, client)]
    eventually(sources.pages_inside(chain, client, *urls), all_welcome(WELCOME), within=timeouts.DNS)


@claim("CHAIN-DNS-050", spec="#services", upstream="DNS, cluster", after=[Link.CLUSTERIP], premises=premises.REACHED)
def test_names_work_from_a_backend(chain: Chain, eventually: Eventually) -> None:
    """A Pod of the Service itself MUST reach the Service by each of its names, at exactly the clusterIP."""
    backend = chain.inside(chain.pods[0])
    urls = [url(name) for name in chain.names_of(WEB, backend)]
    eventually(sources.pages_inside(chain, backend, *urls), all_welcome(WELCOME, at=chain.cluster_ip), within=timeouts.DNS)


@claim("CHAIN-DNS-060", spec="#services", upstream="DNS, cluster")
def test_unknown_name_does_not_exist(chain: Chain, eventually: Eventually) -> None:
    """The name of a Service that does not exist MUST be answered with NXDOMAIN, while a Service's name resolves."""
    client = chain.client
    eventually(sources.answers(chain, client, chain.full_name(WEB, client)), resolves_to(chain.cluster_ip))
    eventually(sources.answers(chain, client, chain.full_name("absent", client)), no_such_name())


@claim("CHAIN-ENV-030", spec=ENVIRONMENT, requires=[right("get", "services")])
def test_services_of_other_namespaces_have_no_variables(
    chain: Chain, other_namespace: str, create: Create, eventually: Eventually
) -> None:
    """A Pod MUST have no variable of a Service in another namespace, though that Service was there first."""
    assert chain.api.get("Service", other_namespace, "neighbour") is not None
    first = chain.ready_inside(create(chain, manifests.client_pod("later", chain.client_image)).name)
    place = started_later.place(chain, eventually, WEB, first, create)
    eventually(sources.environment(chain, place), variables_are("neighbour", {}))
    web = service_variables(WEB, chain.cluster_ip, SERVICE_PORT)
    eventually(sources.environment(chain, place), variables_are(WEB, web))


@claim("CHAIN-ENV-040", spec="tutorials/services/connect-applications-service/#environment-variables", level="full")
def test_service_links_can_be_switched_off(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A Pod with enableServiceLinks false MUST have the variables of the API server's Service and of no other."""
    place = chain.ready_inside(create(chain, manifests.unlinked(manifests.client_pod("unlinked", chain.client_image))).name)
    for name in (WEB, *(each.name for each in chain.objects.read().all("Service") if each.name != WEB)):
        eventually(sources.environment(chain, place), variables_are(name, {}))
    eventually(sources.environment(chain, place), has_variables("KUBERNETES_SERVICE_HOST"))


@claim("CHAIN-ENV-050", spec=ENVIRONMENT, level="full")
def test_each_named_port_has_its_variable(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A Service with several ports MUST be told with one variable for each port by name."""
    service = create(chain, service_manifests.two_port_service("multi-env"))
    first = chain.ready_inside(create(chain, manifests.client_pod("reader", chain.client_image)).name)
    place = started_later.place(chain, eventually, service.name, first, create)
    variables = multi_port_variables(service.name, str(service.at("spec.clusterIP")), service_manifests.TWO_PORTS)
    eventually(sources.environment(chain, place), variables_are(service.name, variables))


@claim("CHAIN-ENV-060", spec=ENVIRONMENT, after=[Link.DNS], level="full", premises=premises.CLUSTER_DNS)
def test_variables_grow_stale_while_names_do_not(chain: Chain, create: Create, eventually: Eventually) -> None:
    """When a Service is made anew with another clusterIP, a running Pod MUST see it by DNS, and the old one by variable."""
    service = create(chain, service_manifests.service(name="moved"))
    old = str(service.at("spec.clusterIP"))
    first = chain.ready_inside(create(chain, manifests.client_pod("witness", chain.client_image)).name)
    place = started_later.place(chain, eventually, service.name, first, create)
    eventually(sources.answers(chain, place, service.name), resolves_to(old))
    require_short_lived(chain, place, chain.full_name(service.name, place), RECORDS[chain.family], LOOKUPS)
    actions.delete(chain, service)
    # Another Service takes the old address, so that the new Service gets another one.
    squatter = service_manifests.service_at(name="squatter", cluster_ip=old)
    released.taken(chain, eventually, lambda: create(chain, squatter))
    new = str(create(chain, service_manifests.service(name="moved")).at("spec.clusterIP"))
    assert new != old
    eventually(sources.answers(chain, place, service.name), resolves_to(new))
    stale = service_variables(service.name, old, SERVICE_PORT)
    eventually(sources.environment(chain, place), variables_are(service.name, stale))


@claim("CHAIN-DNS-070", spec="#pod-s-dns-config", upstream="DNS, cluster", after=[Link.PODS], premises=premises.SEARCH_LIST)
def test_search_list(chain: Chain, eventually: Eventually) -> None:
    """A Pod's resolver MUST search its namespace, the Services and the domain, in this order, with ndots 5."""
    wanted = searches(chain.namespace, chain.client.domain())
    eventually(sources.resolver(chain, chain.client), wanted)


@claim("CHAIN-DNS-080", spec="#srv-records", upstream="DNS, services")
def test_srv_record_of_a_named_port(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A named port of a Service MUST have an SRV record with its number and the Service's name."""
    service, client = create(chain, service_manifests.two_port_service("srv")), chain.client
    full = chain.full_name(service.name, client)
    for port_name, port in service_manifests.TWO_PORTS.items():
        answers = sources.answers(chain, client, f"_{port_name}._tcp.{full}", record="SRV")
        eventually(answers, serves(port, full))


@claim("CHAIN-DNS-090", spec="#a-aaaa-records", upstream="DNS, services")
def test_address_leads_back_to_the_name(chain: Chain, eventually: Eventually) -> None:
    """The clusterIP of a Service MUST have a PTR record with the Service's full name."""
    client = chain.client
    answers = sources.answers(chain, client, reverse_name(chain.cluster_ip), record="PTR")
    eventually(answers, resolves_to(chain.full_name(WEB, client)))


@claim("CHAIN-DNS-100", spec="#services", upstream="DNS, services", after=[Link.ENDPOINTS])
def test_headless_name_resolves_to_the_pods(chain: Chain, create: Create, eventually: Eventually) -> None:
    """The name of a headless Service MUST resolve to exactly the addresses of its ready Pods."""
    name = create(chain, service_manifests.headless("headless")).name
    chain.require_listed(name)
    addresses = [chain.pod_address(pod) for pod in chain.pods]
    eventually(sources.answers(chain, chain.client, name), resolves_to(*addresses))


@claim("CHAIN-DNS-110", spec="#pod-s-hostname-and-subdomain-fields", upstream="DNS, resolve the hostname", level="full")
def test_pod_has_a_name_under_its_headless_service(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A Pod with a hostname and the subdomain of a headless Service MUST resolve by hostname.subdomain to its address."""
    create(chain, service_manifests.headless("sub", app="named"))
    create(chain, manifests.with_hostname(manifests.client_pod("named", chain.client_image, {"app": "named"}), "sub"))
    place = chain.ready_inside("named")
    address = chain.pod_address(chain.present("Pod", "named"))
    eventually(sources.answers(chain, chain.client, "named.sub"), resolves_to(address))
    assert chain.full_name("named.sub", place).rstrip(".") in place.must_run("cat", "/etc/hosts").split()


@claim("CHAIN-DNS-120", spec="reference/kubernetes-api/service-resources/service-v1/", level="full")
def test_unready_pods_are_named_on_request(chain: Chain, create: Create, eventually: Eventually) -> None:
    """With publishNotReadyAddresses a headless name MUST resolve to a Pod that is not ready, and without it to none."""
    create(chain, service_manifests.headless("named-early", app="waiting", early=True))
    create(chain, service_manifests.headless("named-late", app="waiting"))
    pod = create(chain, manifests.unready_pod("waiting", chain.client_image))
    eventually(chain.objects, endpoints.lists("named-early", pod), within=timeouts.PODS_READY)
    address = chain.pod_address(chain.present("Pod", pod.name))
    eventually(sources.answers(chain, chain.client, "named-early"), resolves_to(address))
    eventually(chain.objects, endpoints.listed_unready("named-late", pod.uid))
    late = chain.full_name("named-late", chain.client)
    eventually(sources.answers(chain, chain.client, late), no_address())


@claim("CHAIN-DNS-130", spec="concepts/services-networking/service/#externalname", upstream="DNS, for ExternalName Services")
def test_external_name_is_an_alias(chain: Chain, create: Create, eventually: Eventually) -> None:
    """The name of a Service of type ExternalName MUST be an alias (CNAME) for its external name."""
    name = create(chain, service_manifests.external("outside")).name
    full = chain.full_name(name, chain.client)
    alias = resolves_to(service_manifests.EXTERNAL["externalName"] + ".")
    eventually(sources.answers(chain, chain.client, full, record="CNAME"), alias)


@claim("CHAIN-DNS-140", spec="#namespaces-of-services", upstream="DNS, services", requires=[right("get", "services")])
def test_other_namespace_must_be_named(chain: Chain, other_namespace: str, eventually: Eventually) -> None:
    """A Service of another namespace MUST resolve by name and namespace, and MUST NOT by its name alone."""
    service = chain.api.get("Service", other_namespace, "neighbour")
    assert service is not None
    address = str(service.at("spec.clusterIP"))
    eventually(sources.answers(chain, chain.client, f"neighbour.{other_namespace}"), resolves_to(address))
    searched = chain.searched("neighbour", chain.client)
    eventually(sources.answers(chain, chain.client, *searched), no_such_name())


@claim("CHAIN-DNS-150", spec="#a-aaaa-records", level="full")
def test_name_follows_its_service(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A name MUST follow its Service when that is made anew, no later than the old record's time to live."""
    service, client = create(chain, service_manifests.service(name="renewed")), chain.client
    old = str(service.at("spec.clusterIP"))
    lookups = sources.answers(chain, client, *[service.name] * LOOKUPS)
    eventually(lookups, resolves_to(old))
    ttl = require_short_lived(chain, client, chain.full_name(service.name, client), RECORDS[chain.family], LOOKUPS)
    actions.delete(chain, service)
    holder = service_manifests.service_at(name="holder", cluster_ip=old)
    released.taken(chain, eventually, lambda: create(chain, holder))
    new = str(create(chain, service_manifests.service(name="renewed")).at("spec.clusterIP"))
    eventually(lookups, resolves_to(new), within=timeouts.renewal(ttl))


@claim("CHAIN-DNS-160", upstream="DNS, cluster")
def test_udp_and_tcp_answer_alike(chain: Chain, eventually: Eventually) -> None:
    """A name MUST resolve to the same address by UDP and by TCP."""
    client = chain.client
    full = chain.full_name(WEB, client)
    eventually(sources.answers(chain, client, full), resolves_to(chain.cluster_ip))
    eventually(sources.answers(chain, client, full, tcp=True), resolves_to(chain.cluster_ip))


@claim("CHAIN-DNS-170", spec="tasks/administer-cluster/dns-custom-nameservers/", requires=[DNS_SERVICE])
def test_every_server_answers_alike(chain: Chain, eventually: Eventually) -> None:
    """Every replica of the cluster's DNS MUST answer a name with exactly the clusterIP, and an unknown one with NXDOMAIN."""
    client = chain.client
    eventually(sources.answers_of_servers(chain, client, chain.full_name(WEB, client)), resolves_to(chain.cluster_ip))
    eventually(sources.answers_of_servers(chain, client, chain.full_name("absent", client)), no_such_name())


@claim("CHAIN-DNS-180", spec="#a-aaaa-records", premises=premises.ONE_FAMILY)
def test_name_has_no_address_of_another_family(chain: Chain, eventually: Eventually) -> None:
    """The name of a Service with one IP family MUST have no address of the other family, A or AAAA."""
    client = chain.client
    full = chain.full_name(WEB, client)
    eventually(sources.answers(chain, client, full), resolves_to(chain.cluster_ip))
    other = RECORDS[other_family(chain.family)]
    eventually(sources.answers(chain, client, full, record=other), no_address())


@claim("CHAIN-DNS-190", spec="#a-aaaa-records", requires=[DUAL_STACK])
def test_name_has_the_addresses_of_both_families(chain: Chain, create: Create, eventually: Eventually) -> None:
    """The name of a Service with two IP families MUST resolve to its clusterIP of each, by A and by AAAA."""
    service = create(chain, service_manifests.dual_stack("both"))
    for family, address in cluster_ips_of_both(service).items():
        answers = sources.answers(chain, chain.client, service.name, record=RECORDS[family])
        eventually(answers, resolves_to(address))


@claim("CHAIN-DNS-200", spec="#a-aaaa-records", requires=[DUAL_STACK])
def test_name_of_the_second_family(chain: Chain, create: Create, eventually: Eventually) -> None:
    """The name of a SingleStack Service of the second IP family MUST resolve to its clusterIP, and to no other address."""
    second = other_family(chain.family)
    name = create(chain, service_manifests.of_family("second", second)).name
    full = chain.full_name(name, chain.client)
    eventually(sources.answers(chain, chain.client, full, record=RECORDS[second]), resolves_to(chain.address(name)))
    eventually(sources.answers(chain, chain.client, full), no_address())
