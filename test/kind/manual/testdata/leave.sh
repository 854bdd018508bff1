# Pods first: without the driver kubelet could not end them.
kubectl -n default delete pods --all --grace-period=1
for namespace in $(kubectl get namespaces -o name | grep -vE '/(default|kube-.*|leoflow)$'); do
  kubectl delete "$namespace"
done
for release in $(helm list --namespace leoflow --short); do
  helm uninstall "$release" --namespace leoflow --wait
done
kubectl delete namespace leoflow --ignore-not-found
kubectl -n default delete secrets,configmaps,roles,rolebindings --all
