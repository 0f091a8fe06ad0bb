#!/bin/sh
# The Pod network of a node: its CNI configuration, and routes through each other node to the Pods there, for IPv4, IPv6 or both.
# Only what leaves the Pod network is masqueraded, so that Pods see each other's addresses.
set -eu

# Print 6 for an IPv6 address or subnet, else 4.
family() {
  case $1 in
    *:*) echo 6 ;;
    *) echo 4 ;;
  esac
}

masquerade() {
  if [ "$(family "$1")" = 6 ]; then iptables=ip6tables; else iptables=iptables; fi
  $iptables -w -t nat -N KUBECHAIN 2>/dev/null || $iptables -w -t nat -F KUBECHAIN
  $iptables -w -t nat -A KUBECHAIN -d "$1" -j RETURN
  $iptables -w -t nat -A KUBECHAIN -j MASQUERADE
  $iptables -w -t nat -C POSTROUTING -s "$1" -j KUBECHAIN 2>/dev/null \
    || $iptables -w -t nat -A POSTROUTING -s "$1" -j KUBECHAIN
}

# usage: configure SUBNET...
configure() {
  ranges='' routes=''
  for subnet in "$@"; do
    if [ "$(family "$subnet")" = 6 ]; then everywhere=::/0; else everywhere=0.0.0.0/0; fi
    ranges="$ranges${ranges:+, }[{\"subnet\": \"$subnet\"}]"
    routes="$routes${routes:+, }{\"dst\": \"$everywhere\"}"
  done
  cat > /etc/cni/net.d/.kubechain <<CNI
{
  "cniVersion": "0.4.0",
  "name": "kubechain",
  "plugins": [
    {
      "type": "ptp",
      "ipMasq": false,
      "ipam": {"type": "host-local", "ranges": [$ranges], "routes": [$routes]}
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
CNI
  mv /etc/cni/net.d/.kubechain /etc/cni/net.d/10-kubechain.conflist
}

# usage: connect SUBNET ADDRESS...: a route to the subnet through the address of its family
connect() {
  subnet=$1
  shift
  for address in "$@"; do
    if [ "$(family "$address")" = "$(family "$subnet")" ]; then
      ip "-$(family "$subnet")" route replace "$subnet" via "$address"
    fi
  done
}

for subnet in $(echo "$POD_SUBNET" | tr , ' '); do
  masquerade "$subnet"
done

# The API server's own Service answers once kube-proxy works here. Pods must not start before: a connection that was
# tried too early is remembered untranslated, and hangs for as long as it is tried again.
# (With an option such as --request-timeout kubectl forgets that it runs in a cluster.)
until timeout 2 kubectl get --raw /readyz > /dev/null 2>&1; do
  sleep 0.2
done

# Not a jsonpath: with two ranges, it fails for the second object of a watch.
internal='{{range .status.addresses}}{{if eq .type "InternalIP"}}{{.address}} {{end}}{{end}}'
fields="{{.metadata.name}}|{{range .spec.podCIDRs}}{{.}} {{end}}|$internal{{\"\\n\"}}"
while true; do
  kubectl get nodes --watch --output "go-template=$fields" | while IFS='|' read -r name subnets addresses; do
    if [ -z "$subnets" ]; then
      continue # no podCIDR yet
    elif [ "$name" = "$NODE_NAME" ]; then
      # shellcheck disable=SC2086  # a word for each subnet
      configure $subnets
    else
      for subnet in $subnets; do
        # shellcheck disable=SC2086
        connect "$subnet" $addresses
      done
    fi
  done
  sleep 1
done
