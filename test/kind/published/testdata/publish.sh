# A registry on the nodes' own network, which they ask without TLS, and in it the release.
gateway=$(docker network inspect kind --format '{{range .IPAM.Config}}{{.Gateway}}{{"\n"}}{{end}}' | grep -m 1 -F .)
registry=$gateway:5555
mkdir -p registry
setsid "$CRANE" registry serve --address "$registry" --disk registry >registry.log 2>&1 &
echo $! >registry.pid
for node in $(kubectl get nodes --output name | cut -d/ -f2); do
  docker exec "$node" mkdir -p "/etc/containerd/certs.d/$registry"
  echo "server = \"http://$registry\"" | docker exec --interactive "$node" cp /dev/stdin "/etc/containerd/certs.d/$registry/hosts.toml"
  docker exec "$node" sh -c 'grep -q certs.d /etc/containerd/config.toml || {
    printf "\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"/etc/containerd/certs.d\"\n" >>/etc/containerd/config.toml
    systemctl restart containerd; }'
done
"$COSIGN" generate-key-pair >&2
INSECURE=1 "$ROOT/release/push.sh" "$registry/leoflow" --key "$PWD/cosign.key" --tlog-upload=false --use-signing-config=false >&2
chart=$(cd "$ROOT/dist/release" && ls leoflow-secrets-csi-[0-9]*.tgz)
version=${chart#leoflow-secrets-csi-}
echo "$registry/leoflow ${version%.tgz}"
