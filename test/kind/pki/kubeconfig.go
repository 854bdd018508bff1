package pki

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// WriteKubeconfig issues a client certificate and writes it to path as a kubeconfig for
// the API server at address.
func (a *Authority) WriteKubeconfig(path, address string, subject Subject) error {
	pair, err := a.Issue(subject)
	if err != nil {
		return err
	}
	const name = "leoflow"
	config := api.NewConfig()
	config.Clusters[name] = &api.Cluster{
		Server:                   "https://" + address,
		CertificateAuthorityData: a.Certificate,
	}
	config.AuthInfos[name] = &api.AuthInfo{
		ClientCertificateData: pair.Certificate,
		ClientKeyData:         pair.Key,
	}
	config.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("writing the kubeconfig of %s: %w", subject.User, err)
	}
	return nil
}
