version=$(awk '$1 == "appVersion:" {print $2}' charts/leoflow-secrets-csi/Chart.yaml)
for node in $(kubectl get nodes --output name | cut -d/ -f2); do
  tag() { $LEOFLOW_NODE_EXEC "$node" ctr --namespace=k8s.io images tag --force "$1" "$2"; }
  for name in driver agent core; do
    tag "localhost/leoflow/secrets-csi/$name:test" "docker.io/leoflow/secrets-csi/$name:$version"
  done
done
