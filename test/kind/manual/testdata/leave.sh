made=$(kubectl get namespaces -o name | sort | comm -13 namespaces-before -)
# Pods first: without the driver kubelet could not end them.
for namespace in default $(grep -vx namespace/leoflow <<<"${made:-none}" | cut -s -d/ -f2); do
  kubectl -n "$namespace" delete pods --all --grace-period=1
done
for release in $(helm list --namespace leoflow --short); do
  helm uninstall "$release" --namespace leoflow
done
if [ -n "$made" ]; then kubectl delete $made; fi
kubectl -n default delete secrets,roles,rolebindings --all
kubectl delete clusterrolebinding leoflow-core --ignore-not-found
