package main

import (
	"flag"
	"fmt"

	"github.com/leoflow/secrets-csi/internal/source/kubernetes"
)

// kubernetesRules are the flags about which Secret holds an entry.
type kubernetesRules struct{ kwargs, connectionName, variableName string }

func (k *kubernetesRules) bind(flags *flag.FlagSet) {
	flags.StringVar(&k.kwargs, "source-kubernetes-kwargs", "", "Airflow's backend_kwargs for its Kubernetes backend, as `JSON` or @FILE: the source \"kubernetes\" then serves Secrets in that form too; {} for its defaults")
	flags.StringVar(&k.connectionName, "kubernetes-connection-name", "", "`template` of the names of connections' Secrets, such as airflow-conn-{id}; empty for connection-{id}, and for Airflow's form by label")
	flags.StringVar(&k.variableName, "kubernetes-variable-name", "", "the same `template` for variables; empty for variable-{id}")
}

func (k *kubernetesRules) read() (kubernetes.Rules, error) {
	kwargs, err := textOrFile("source-kubernetes-kwargs", k.kwargs)
	if err != nil {
		return kubernetes.Rules{}, err
	}
	connection, err := kubernetes.ParseTemplate(k.connectionName)
	if err != nil {
		return kubernetes.Rules{}, fmt.Errorf("--kubernetes-connection-name: %w", err)
	}
	variable, err := kubernetes.ParseTemplate(k.variableName)
	if err != nil {
		return kubernetes.Rules{}, fmt.Errorf("--kubernetes-variable-name: %w", err)
	}
	rules, err := kubernetes.NewRules(kwargs, connection, variable)
	if err != nil {
		return kubernetes.Rules{}, fmt.Errorf("--source-kubernetes-kwargs: %w", err)
	}
	return rules, nil
}
