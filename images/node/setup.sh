#!/bin/sh
# Runs once in the base image: what systemd must and must not do in a container, and where things are looked for.
set -eu

chmod 0755 /usr/local/bin/* /kind /kind/bin /kind/bin/*
rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
  /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/sockets.target.wants/*udev* \
  /lib/systemd/system/sockets.target.wants/*initctl* /lib/systemd/system/basic.target.wants/* \
  /lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service
echo "ReadKMsg=no" >> /etc/systemd/journald.conf
systemctl enable kubelet.service containerd.service undo-mount-hacks.service
systemctl mask systemd-binfmt.service
mkdir -p /etc/kubernetes/manifests /opt/cni
ln -s /usr/lib/cni /opt/cni/bin

# What every container starts from: without rlimits, and with kind's hook that hides the host's product files.
ctr oci spec \
  | jq '.hooks.createContainer[.hooks.createContainer | length] |= . + {"path": "/kind/bin/mount-product-files.sh"}' \
  | jq 'del(.process.rlimits)' > /etc/containerd/cri-base.json

# Machines whose capabilities are bounded refuse a lower OOM score.
sed -i \
  -e 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' \
  -e "s|sandbox_image = .*|sandbox_image = \"$(kubeadm config images list --kubernetes-version "$(cat /kind/version)" \
    | grep /pause:)\"|" \
  /etc/containerd/config.toml
rm /tmp/setup.sh
