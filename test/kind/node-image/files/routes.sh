# Writes the CNI configuration of this node's pod range, and keeps a route to the pod range
# of every other node. Runs in the pods of cni.yaml. NODE is this node's name.
set -u

configure() {
  cat >/etc/cni/net.d/.new <<JSON
{"cniVersion": "0.4.0", "name": "leoflow", "plugins": [
  {"type": "ptp", "ipam": {"type": "host-local", "ranges": [[{"subnet": "$1"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
  mv /etc/cni/net.d/.new /etc/cni/net.d/10-leoflow.conflist
}

# A node has no range before the controller manager gave it one.
row='{.metadata.name} {.status.addresses[?(@.type=="InternalIP")].address} {.spec.podCIDR}{"\n"}'
while :; do
  kubectl get nodes --watch --output "jsonpath=$row" | while read -r name address range; do
    case $range in
    '') ;;
    *) if [ "$name" = "$NODE" ]; then configure "$range"; else ip route replace "$range" via "$address"; fi ;;
    esac
  done
  sleep 1 # the API server is away, or ended the watch
done
