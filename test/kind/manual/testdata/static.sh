node=$(kubectl get nodes --output name | cut -d/ -f2 | tail -n 1)
on() { $LEOFLOW_NODE_EXEC "$node" sh -c "$1"; }
trap 'on "rm -f /etc/kubernetes/manifests/static.yaml"' EXIT
on "mkdir -p /etc/kubernetes/manifests && cat >/etc/kubernetes/manifests/static.yaml <<'POD'
apiVersion: v1
kind: Pod
metadata: {name: static, namespace: default}
spec:
  containers: [{name: static, image: localhost/leoflow/busybox:test, command: [sleep, '3600']}]
  volumes: [{name: leoflow, csi: {driver: secrets.csi.leoflow.io, readOnly: true, volumeAttributes: {connections: warehouse}}}]
POD"
for _ in $(seq 60); do
  on "journalctl --unit kubelet --no-pager --since -2min | grep -m 1 'static pods may not'" && exit
  sleep 1
done
echo "kubelet's log does not speak of it" >&2
exit 1
