# Pods first: without the driver kubelet could not end them.
kubectl -n default delete pods --all --grace-period=1
kubectl get namespaces -o name | { grep -vE '/(default|kube-.*|leoflow)$' || true; } | xargs -r kubectl delete
for release in $(helm list --namespace leoflow --short); do
  helm uninstall "$release" --namespace leoflow --wait
done
kubectl delete namespace leoflow --ignore-not-found
kubectl -n default delete secrets,roles,rolebindings --all
kubectl delete clusterrolebinding leoflow-core --ignore-not-found
