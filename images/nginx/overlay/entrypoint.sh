# Lets the stock configuration listen on IPv6 as well, as the public image does: without IPv6 in the kernel, nginx would end.
[ ! -e /proc/net/if_inet6 ] || echo 'listen [::]:80;' > /run/nginx-ipv6.conf
exec "$@"
