package main

import (
	"context"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/kube"
	"github.com/leoflow/secrets-csi/internal/metric"
	"github.com/leoflow/secrets-csi/internal/regular"
	"github.com/leoflow/secrets-csi/internal/source/aws"
	"github.com/leoflow/secrets-csi/internal/source/azure"
	"github.com/leoflow/secrets-csi/internal/source/gcp"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/internal/source/vault"
)

// storeSettings are the flags about the stores that Airflow's own backends read.
type storeSettings struct {
	vaultKwargs, vaultAudience, vaultCA string
	awsSecretsManagerKwargs             string
	awsSSMKwargs                        string
	gcpSecretManagerKwargs              string
	gcpSecretManagerRegion              string
	azureKeyVaultKwargs                 string
	teams                               bool
}

func (s *storeSettings) bind(flags *flag.FlagSet) {
	flags.StringVar(&s.awsSecretsManagerKwargs, "source-aws-secretsmanager-kwargs", "", "Airflow's backend_kwargs for AWS Secrets Manager, as `JSON` or @FILE, for the source \"aws-secretsmanager\"; {} for its defaults, empty for no such source")
	flags.StringVar(&s.awsSSMKwargs, "source-aws-ssm-kwargs", "", "Airflow's backend_kwargs for AWS Systems Manager Parameter Store, as `JSON` or @FILE, for the source \"aws-ssm\"; {} for its defaults, empty for no such source")
	flags.StringVar(&s.azureKeyVaultKwargs, "source-azure-keyvault-kwargs", "", "Airflow's backend_kwargs for Azure Key Vault, as `JSON` or @FILE, for the source \"azure-keyvault\"; empty for no such source")
	flags.StringVar(&s.gcpSecretManagerKwargs, "source-gcp-secretmanager-kwargs", "", "Airflow's backend_kwargs for Google Cloud Secret Manager, as `JSON` or @FILE, for the source \"gcp-secretmanager\"; empty for no such source")
	flags.StringVar(&s.gcpSecretManagerRegion, "source-gcp-secretmanager-region", "", "the `region` of the secrets, where they are regional ones; empty for those that are not")
	flags.BoolVar(&s.teams, "source-teams", false, "keep teams apart in stores, as Airflow does by [core] multi_team; a pod is of the team that its service account's annotation "+store.TeamAnnotation+" names")
	flags.StringVar(&s.vaultKwargs, "source-vault-kwargs", "", "Airflow's backend_kwargs for Vault, as `JSON` or @FILE, for the source \"vault\"; empty for no such source")
	flags.StringVar(&s.vaultAudience, "source-vault-audience", vault.DefaultAudience, "the `audience` of the pods' tokens for Vault")
	flags.StringVar(&s.vaultCA, "source-vault-ca", "", "`file` of the CA certificates that Vault's must chain to; empty for the system's")
}

// storeKind is one store that may be a source, the file of CA certificates that its must chain to,
// and what opens it by its kwargs.
type storeKind struct {
	name, flag, kwargs string
	caFlag, ca         string
	open               func(roots *x509.CertPool, kwargs string) (store.Store, error)
}

func (s *settings) storeKinds() []storeKind {
	return []storeKind{
		{"aws-secretsmanager", "source-aws-secretsmanager-kwargs", s.stores.awsSecretsManagerKwargs, "cloud-ca", s.clouds.ca, s.openAWSSecretsManager},
		{"aws-ssm", "source-aws-ssm-kwargs", s.stores.awsSSMKwargs, "cloud-ca", s.clouds.ca, s.openAWSSSM},
		{"azure-keyvault", "source-azure-keyvault-kwargs", s.stores.azureKeyVaultKwargs, "cloud-ca", s.clouds.ca, s.openAzureKeyVault},
		{"gcp-secretmanager", "source-gcp-secretmanager-kwargs", s.stores.gcpSecretManagerKwargs, "cloud-ca", s.clouds.ca, s.openGCPSecretManager},
		{"vault", "source-vault-kwargs", s.stores.vaultKwargs, "source-vault-ca", s.stores.vaultCA, s.openVault},
	}
}

func (s *settings) openAWSSecretsManager(roots *x509.CertPool, kwargs string) (store.Store, error) {
	s.clouds.share(roots)
	return aws.NewStore(s.clouds.aws, kwargs)
}

func (s *settings) openAWSSSM(roots *x509.CertPool, kwargs string) (store.Store, error) {
	s.clouds.share(roots)
	return aws.NewParameterStore(s.clouds.aws, kwargs)
}

func (s *settings) openAzureKeyVault(roots *x509.CertPool, kwargs string) (store.Store, error) {
	s.clouds.share(roots)
	return azure.NewStore(s.clouds.azure, kwargs)
}

func (s *settings) openGCPSecretManager(roots *x509.CertPool, kwargs string) (store.Store, error) {
	if s.clouds.gcp.Audience == "" {
		return nil, errors.New("it needs --gcp-audience, the workload identity provider that pods are known by")
	}
	s.clouds.share(roots)
	config := s.clouds.gcp
	config.Region = s.stores.gcpSecretManagerRegion
	return gcp.NewStore(config, kwargs)
}

func (s *settings) openVault(roots *x509.CertPool, kwargs string) (store.Store, error) {
	return vault.New(vault.Config{Kwargs: kwargs, TokenAudience: s.stores.vaultAudience, HTTP: secretmanager.NewHTTPClient(roots, 0)})
}

// usesStores reports whether any store is a source.
func (s *settings) usesStores() bool {
	for _, kind := range s.storeKinds() {
		if kind.kwargs != "" {
			return true
		}
	}
	return false
}

// checkStores opens each store, which asks nobody, and closes it.
func (s *settings) checkStores(mistakes *cli.Mistakes) {
	for _, kind := range s.storeKinds() {
		if kind.kwargs == "" {
			continue
		}
		made, err := kind.make()
		if mistakes.Add(err); err == nil {
			_ = made.Close() // of connections that nobody made
		}
	}
}

func (k storeKind) make() (store.Store, error) {
	kwargs, err := textOrFile(k.flag, k.kwargs)
	if err != nil {
		return nil, err
	}
	roots, err := rootsOf(k.caFlag, k.ca)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", k.flag, err)
	}
	made, err := k.open(roots, kwargs)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", k.flag, err)
	}
	return made, nil
}

// textOrFile is a flag's value, or the content of the file that it names behind "@".
func textOrFile(flagName, value string) (string, error) {
	path, isFile := strings.CutPrefix(value, "@")
	if !isFile {
		return value, nil
	}
	content, err := regular.Read(path, regular.Most)
	if err != nil {
		return "", fmt.Errorf("reading --%s: %w", flagName, err)
	}
	return string(content), nil
}

// addStores adds the sources that are stores.
func (s *settings) addStores(found *sources, metrics *metric.Metrics) error {
	for _, kind := range s.storeKinds() {
		if kind.kwargs == "" {
			continue
		}
		made, err := kind.make()
		if err != nil {
			return err
		}
		annotations, err := s.annotations(found)
		if err != nil {
			return fmt.Errorf("reading service accounts, which --%s needs: %w", kind.flag, err)
		}
		open := store.New
		if s.stores.teams {
			open = store.NewApart
		}
		source := open(kind.name, made, secretmanager.Config{Annotations: annotations, Called: metrics.Calls(kind.name)})
		found.add(kind.name, source, source.Close)
	}
	return nil
}

// annotations reads service accounts, by one client for all sources.
func (s *settings) annotations(found *sources) (secretmanager.Annotations, error) {
	if found.annotations != nil {
		return found.annotations, nil
	}
	config, err := kube.Config(s.kubeconfig)
	if err != nil {
		return nil, err
	}
	accounts, err := kube.NewServiceAccounts(found.api.Of(config))
	if err != nil {
		return nil, err
	}
	found.annotations = func(ctx context.Context, namespace, serviceAccount string) (map[string]string, error) {
		read, err := accounts.Annotations(ctx, namespace, serviceAccount)
		if errors.Is(err, kube.ErrNoServiceAccount) {
			return nil, secretmanager.NoAccount(namespace, serviceAccount)
		}
		return read, err
	}
	return found.annotations, nil
}

// rootsOf are the certificates of a file; nil, which is the system's, for none.
func rootsOf(flagName, path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := regular.Read(path, regular.Most)
	if err != nil {
		return nil, fmt.Errorf("reading --%s: %w", flagName, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading --%s: %s holds no PEM certificate", flagName, path)
	}
	return roots, nil
}
