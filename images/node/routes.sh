#!/bin/sh
# The Pod network of a node: its CNI configuration, and a route through each other node to the Pods there.
# Only what leaves the Pod network is masqueraded, so that Pods see each other's addresses.
set -eu

iptables -w -t nat -N KUBECHAIN 2>/dev/null || iptables -w -t nat -F KUBECHAIN
iptables -w -t nat -A KUBECHAIN -d "$POD_SUBNET" -j RETURN
iptables -w -t nat -A KUBECHAIN -j MASQUERADE
iptables -w -t nat -C POSTROUTING -s "$POD_SUBNET" -j KUBECHAIN 2>/dev/null \
  || iptables -w -t nat -A POSTROUTING -s "$POD_SUBNET" -j KUBECHAIN

configure() {
  cat > /etc/cni/net.d/.kubechain <<CNI
{
  "cniVersion": "0.4.0",
  "name": "kubechain",
  "plugins": [
    {
      "type": "ptp",
      "ipMasq": false,
      "ipam": {"type": "host-local", "ranges": [[{"subnet": "$1"}]], "routes": [{"dst": "0.0.0.0/0"}]}
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
CNI
  mv /etc/cni/net.d/.kubechain /etc/cni/net.d/10-kubechain.conflist
}

# The API server's own Service answers once kube-proxy works here. Pods must not start before: a connection that was
# tried too early is remembered untranslated, and hangs for as long as it is tried again.
# (With an option such as --request-timeout kubectl forgets that it runs in a cluster.)
until timeout 2 kubectl get --raw /readyz > /dev/null 2>&1; do
  sleep 0.2
done

fields='{.metadata.name}{" "}{.spec.podCIDR}{" "}{.status.addresses[?(@.type=="InternalIP")].address}{"\n"}'
while true; do
  kubectl get nodes --watch --output "jsonpath=$fields" | while read -r name subnet address; do
    if [ -z "$address" ]; then
      continue # no podCIDR yet
    elif [ "$name" = "$NODE_NAME" ]; then
      configure "$subnet"
    else
      ip route replace "$subnet" via "$address"
    fi
  done
  sleep 1
done
