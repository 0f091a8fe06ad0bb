#!/bin/sh
# Pods of other nodes are reached through these nodes: one route each, kept for as long as the node exists.
# Only what leaves the Pod network is masqueraded, so that Pods see each other's addresses.
set -eu

iptables -w -t nat -N KUBECHAIN 2>/dev/null || iptables -w -t nat -F KUBECHAIN
iptables -w -t nat -A KUBECHAIN -d "$POD_SUBNET" -j RETURN
iptables -w -t nat -A KUBECHAIN -j MASQUERADE
iptables -w -t nat -C POSTROUTING -s "$POD_SUBNET" -j KUBECHAIN 2>/dev/null \
  || iptables -w -t nat -A POSTROUTING -s "$POD_SUBNET" -j KUBECHAIN

fields='{.metadata.name}{" "}{.spec.podCIDR}{" "}{.status.addresses[?(@.type=="InternalIP")].address}{"\n"}'
while true; do
  kubectl get nodes --watch --output "jsonpath=$fields" | while read -r name subnet address; do
    [ "$name" = "$NODE_NAME" ] || [ -z "$address" ] || ip route replace "$subnet" via "$address"
  done
  sleep 1
done
