# A directory that leads to kubelet's, on every node but the last.
kubectl get nodes --output name | cut -d/ -f2 | tail -n 1 >bare-node
kubectl get nodes --output name | cut -d/ -f2 | grep -vx "$(cat bare-node)" >half-nodes || :
for node in $(cat half-nodes); do
  $LEOFLOW_NODE_EXEC "$node" ln -sfn /var/lib/kubelet /half
done
