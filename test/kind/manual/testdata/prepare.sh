# Afterwards everything is deleted that is new, and all in the namespace "default".
kubectl get namespaces -o name | sort >namespaces-before
if grep -x namespace/leoflow namespaces-before ||
  { kubectl -n default get pods,secrets -o name && kubectl get csidriver --ignore-not-found -o name secrets.csi.leoflow.io; } | grep .; then
  echo "the cluster is in use; documents are tried in one of their own" >&2
  exit 1
fi
# A namespace with an account for tasks, such as every cluster with an Airflow has.
kubectl create namespace airflow
kubectl -n airflow create serviceaccount etl
