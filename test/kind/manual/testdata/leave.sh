# Pods first: without the driver kubelet could not end them.
made=$(kubectl get namespaces -o name | { grep -vE '/(default|kube-.*|leoflow)$' || true; })
for namespace in default ${made//namespace\//}; do
  kubectl -n "$namespace" delete pods --all --grace-period=1
done
for release in $(helm list --namespace leoflow --short); do
  helm uninstall "$release" --namespace leoflow
done
kubectl delete --ignore-not-found namespace/leoflow $made
kubectl -n default delete secrets,roles,rolebindings --all
kubectl delete clusterrolebinding leoflow-core --ignore-not-found
