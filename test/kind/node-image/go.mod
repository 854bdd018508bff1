// This file only marks the module's root. The requirements are in kubernetes-*.mod, one for
// each version that can be built (./pin.sh writes them), and in containerd.mod.
module github.com/leoflow/secrets-csi/test/kind/node-image

go 1.26.0
