#!/usr/bin/env bash
# Makes a node of an unpacked Debian: kind's own files, containerd, and the services that a
# node starts. What it sets is what the Dockerfile of kind's base image sets. mmdebstrap calls
# it; see build.sh.
set -euo pipefail
root=$1 kind=$2 programs=$3
here=$(cd "$(dirname "$0")" && pwd)

cp --recursive --no-preserve=ownership "$kind/." "$root/"
chmod -R u+w "$root/etc" "$root/kind" "$root/usr/local/bin" # a module's files are read-only
chmod 755 "$root"/usr/local/bin/* "$root"/kind/bin/*
install -m 755 "$programs"/* "$root/usr/local/bin/"
install -m 755 "$here/files/entrypoint.sh" "$root/kind/bin/"
install -m 755 "$here/files/crictl.sh" "$root/usr/local/bin/crictl"
install -D -m 644 "$here/files/cni.yaml" "$root/kind/manifests/default-cni.yaml"
install -D -m 644 "$here/files/storage.yaml" "$root/kind/manifests/default-storage.yaml"
mkdir -p "$root/opt/cni/bin" "$root/etc/kubernetes/manifests"
cp "$root"/usr/lib/cni/{host-local,loopback,portmap,ptp} "$root/opt/cni/bin/"

# Containers get a node's product name by a hook, and no limits that the node may not raise.
"$programs/ctr" oci spec | jq '.hooks.createContainer += [{path: "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' \
  >"$root/etc/containerd/cri-base.json"

# A node starts what kind enables, and nothing that Debian's packages do. What the packages
# set of the machine's kernel is left out: it would reach the host.
rm -rf "$root"/usr/lib/sysctl.d/* "$root"/etc/systemd/system/*.wants
find "$root/lib/systemd/system" \( -path '*/multi-user.target.wants/*' -o -path '*/local-fs.target.wants/*' \
  -o -path '*/sockets.target.wants/*udev*' -o -path '*/sockets.target.wants/*initctl*' \
  -o -path '*/sysinit.target.wants/systemd-tmpfiles-setup.service' \) -delete
echo ReadKMsg=no >>"$root/etc/systemd/journald.conf"
ln -sf /usr/lib/systemd/systemd "$root/sbin/init"
systemctl --root "$root" --quiet enable kubelet.service containerd.service undo-mount-hacks.service
systemctl --root "$root" --quiet mask systemd-binfmt.service
rm -f "$root/etc/machine-id" "$root"/var/cache/apt/archives/*.deb
