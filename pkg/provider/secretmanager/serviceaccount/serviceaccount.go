// Package serviceaccount reads from the API server which cloud identities service
// accounts are meant to have.
package serviceaccount

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/leoflow/secrets-csi/pkg/provider/secretmanager"
)

// Annotations reads under the client's own identity, which needs to get service
// accounts and nothing else.
func Annotations(client corev1.ServiceAccountsGetter) secretmanager.Annotations {
	return func(ctx context.Context, namespace, serviceAccount string) (map[string]string, error) {
		account, err := client.ServiceAccounts(namespace).Get(ctx, serviceAccount, v1.GetOptions{})
		if errors.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading service account %s/%s: %w", namespace, serviceAccount, err)
		}
		return account.Annotations, nil
	}
}
