package component

import "github.com/leoflow/secrets-csi/test/kind/unit"

// Stages are the programs in the order of their starts: each stage needs the one before
// it to be ready.
func Stages(settings Settings) [][]unit.Unit {
	return [][]unit.Unit{
		{containerd(), etcd()},
		{apiServer(settings)},
		{controllerManager(), scheduler(), kubelet(settings), proxy(settings), coreDNS()},
	}
}

func containerd() unit.Unit {
	return unit.Unit{Name: "containerd", Notifies: true, Args: []string{"--config=/node/etc/containerd.toml"}}
}

func etcd() unit.Unit {
	const clients = "http://127.0.0.1:2379"
	return unit.Unit{Name: "etcd", Notifies: true, Args: []string{
		"--data-dir=/var/lib/etcd",
		"--listen-client-urls=" + clients,
		"--advertise-client-urls=" + clients,
		"--listen-peer-urls=http://127.0.0.1:2380",
		"--unsafe-no-fsync", // nobody keeps this cluster past the machine's own crash
	}}
}

func apiServer(settings Settings) unit.Unit {
	return unit.Unit{Name: "kube-apiserver", Notifies: true, Args: []string{
		"--advertise-address=" + settings.NodeAddress.String(),
		"--secure-port=" + apiPort,
		"--etcd-servers=http://127.0.0.1:2379",
		"--tls-cert-file=/node/etc/apiserver.crt",
		"--tls-private-key-file=/node/etc/apiserver.key",
		"--client-ca-file=/node/etc/ca.crt",
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--service-cluster-ip-range=" + ServiceNetwork,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=/node/etc/service-account.key",
		"--service-account-signing-key-file=/node/etc/service-account.key",
		"--kubelet-client-certificate=/node/etc/apiserver-kubelet-client.crt",
		"--kubelet-client-key=/node/etc/apiserver-kubelet-client.key",
		"--kubelet-certificate-authority=/node/etc/ca.crt",
		"--kubelet-preferred-address-types=InternalIP",
	}}
}

func controllerManager() unit.Unit {
	return unit.Unit{Name: "kube-controller-manager", Args: []string{
		"--kubeconfig=/node/etc/controller-manager.kubeconfig",
		"--use-service-account-credentials=true",
		"--root-ca-file=/node/etc/ca.crt",
		"--cluster-signing-cert-file=/node/etc/ca.crt",
		"--cluster-signing-key-file=/node/etc/ca.key",
		"--flex-volume-plugin-dir=/var/lib/kubelet/volumeplugins",
		"--leader-elect=false", // there is one
		// Its forty controllers each ask for an account and a token when they start, and at
		// the default rate the first pod would wait seconds for its own.
		"--kube-api-qps=200",
		"--kube-api-burst=400",
	}}
}

func scheduler() unit.Unit {
	return unit.Unit{Name: "kube-scheduler", Args: []string{
		"--kubeconfig=/node/etc/scheduler.kubeconfig",
		"--leader-elect=false",
	}}
}

func kubelet(settings Settings) unit.Unit {
	return unit.Unit{Name: "kubelet", Args: []string{
		"--config=/node/etc/kubelet.yaml",
		"--kubeconfig=/node/etc/kubelet.kubeconfig",
		"--node-ip=" + settings.NodeAddress.String(),
	}}
}

func proxy(settings Settings) unit.Unit {
	return unit.Unit{Name: "kube-proxy", Args: []string{
		"--kubeconfig=/node/etc/proxy.kubeconfig",
		"--hostname-override=" + settings.Name,
		"--proxy-mode=iptables",
		"--cluster-cidr=" + PodNetwork,
		// The machine's, which a network namespace cannot set.
		"--conntrack-max-per-core=0",
		"--conntrack-tcp-timeout-established=0",
		"--conntrack-tcp-timeout-close-wait=0",
	}}
}

func coreDNS() unit.Unit {
	return unit.Unit{Name: "coredns", Args: []string{"-conf=/node/etc/Corefile"}}
}
