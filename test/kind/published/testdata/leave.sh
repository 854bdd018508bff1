kubectl delete pod task --ignore-not-found --grace-period=1
helm uninstall leoflow --namespace leoflow --ignore-not-found --wait
kubectl delete namespace leoflow --ignore-not-found
[ ! -e registry.pid ] || kill "$(cat registry.pid)"
