package component

import (
	"path/filepath"

	"github.com/leoflow/secrets-csi/test/kind/pki"
)

const administrators = "system:masters"

// configureIdentities gives every program the identity that it has in any cluster, so
// that what RBAC and the node authorizer forbid elsewhere, they forbid here.
func configureIdentities(etc string, settings Settings) error {
	authority, err := pki.NewAuthority("leoflow-test")
	if err != nil {
		return err
	}
	if err := writePair(etc, "ca", authority.Pair); err != nil {
		return err
	}
	if err := configureCertificates(etc, authority, settings); err != nil {
		return err
	}
	if err := configureKubeconfigs(etc, authority, settings); err != nil {
		return err
	}
	key, err := pki.NewKey()
	if err != nil {
		return err
	}
	return write(filepath.Join(etc, "service-account.key"), key)
}

func configureCertificates(etc string, authority *pki.Authority, settings Settings) error {
	address := settings.NodeAddress.String()
	for name, subject := range map[string]pki.Subject{
		"apiserver": {User: "kube-apiserver", Hosts: []string{
			"kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc.cluster.local", "localhost", "127.0.0.1", firstService, address,
		}},
		"apiserver-kubelet-client": {User: "kube-apiserver-kubelet-client", Groups: []string{administrators}},
		"kubelet":                  {User: "kubelet", Hosts: []string{settings.Name, address}},
	} {
		pair, err := authority.Issue(subject)
		if err != nil {
			return err
		}
		if err := writePair(etc, name, pair); err != nil {
			return err
		}
	}
	return nil
}

func configureKubeconfigs(etc string, authority *pki.Authority, settings Settings) error {
	server := settings.NodeAddress.String() + ":" + apiPort
	for name, subject := range map[string]pki.Subject{
		"admin":              {User: "kubernetes-admin", Groups: []string{administrators}},
		"controller-manager": {User: "system:kube-controller-manager"},
		"scheduler":          {User: "system:kube-scheduler"},
		"proxy":              {User: "system:kube-proxy"},
		"kubelet":            {User: "system:node:" + settings.Name, Groups: []string{"system:nodes"}},
		// No role that is built in lets it watch EndpointSlices.
		"coredns": {User: "coredns", Groups: []string{administrators}},
	} {
		if err := authority.WriteKubeconfig(filepath.Join(etc, name+".kubeconfig"), server, subject); err != nil {
			return err
		}
	}
	return nil
}

func writePair(etc, name string, pair pki.Pair) error {
	if err := write(filepath.Join(etc, name+".crt"), pair.Certificate); err != nil {
		return err
	}
	return write(filepath.Join(etc, name+".key"), pair.Key)
}
