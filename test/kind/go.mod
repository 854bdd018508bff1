module github.com/leoflow/secrets-csi/test/kind

go 1.26.0

require (
	github.com/google/go-containerregistry v0.22.1
	github.com/leoflow/secrets-csi v0.0.0
	github.com/stretchr/testify v1.12.1
	golang.org/x/mod v0.40.0
	golang.org/x/sys v0.49.0
	k8s.io/api v0.36.3
	k8s.io/apimachinery v0.36.3
	k8s.io/client-go v0.36.3
)

replace github.com/leoflow/secrets-csi => ../..
