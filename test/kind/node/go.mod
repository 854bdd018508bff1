// The requirements are in the kubernetes-*.mod files, one for each version that can
// be built; this file only marks the module's root. See ../pin.
module github.com/leoflow/secrets-csi/test/kind/node

go 1.26.0
