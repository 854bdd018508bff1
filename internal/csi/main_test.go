package csi

import (
	"os"
	"testing"

	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
)

func TestMain(m *testing.M) { os.Exit(mounttest.Run(m)) }
