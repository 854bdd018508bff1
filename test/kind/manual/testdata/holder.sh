kubectl apply -f - <<'POD'
apiVersion: v1
kind: Pod
metadata: {name: holder, namespace: default}
spec:
  containers:
  - name: holder
    image: localhost/leoflow/busybox:test
    imagePullPolicy: Never
    command: [sh, -c, 'trap exit TERM; sleep 3600 & wait']
    volumeMounts:
    - {name: leoflow, mountPath: /s, readOnly: true}
  volumes:
  - name: leoflow
    csi: {driver: secrets.csi.leoflow.io, readOnly: true, volumeAttributes: {connections: warehouse}}
POD
kubectl -n default wait --for=condition=Ready pod/holder --timeout=2m
