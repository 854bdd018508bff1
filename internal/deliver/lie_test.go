package deliver

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/seam/wire"
	"github.com/leoflow/secrets-csi/internal/testlong"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

// forger stands between a driver and its fetcher. It changes what the fetcher says once a connection
// stands, and hangs up after that.
type forger struct{ from, to string }

// forge changes a few bytes of what is passed on, once a connection stands.
func forge(said []byte) []byte {
	for range rand.N(4) {
		if len(said) == 0 {
			break
		}
		switch at := rand.N(len(said)); rand.N(3) {
		case 0:
			said[at] ^= 1 << rand.N(8)
		case 1:
			said[at] = byte(rand.N(256))
		default:
			said = append(said[:at], said[min(len(said), at+rand.N(6)):]...)
		}
	}
	return said
}

// run passes on until ctx ends.
func (f forger) run(ctx context.Context, t *testing.T) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", f.from)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	var passing sync.WaitGroup
	defer passing.Wait()
	for {
		fetcher, err := listener.Accept()
		if err != nil {
			return nil
		}
		driver, err := new(net.Dialer).DialContext(ctx, "unix", f.to)
		if !assert.NoError(t, err) {
			return err
		}
		stop := context.AfterFunc(ctx, func() { _ = fetcher.Close(); _ = driver.Close() })
		pass := func(from, to net.Conn, isLast bool, change func([]byte) []byte) {
			defer stop()
			defer func() { _ = from.Close(); _ = to.Close() }()
			said := make([]byte, 64<<10)
			for first := true; ; first = false {
				count, err := from.Read(said)
				if err != nil {
					return
				}
				out := said[:count]
				if !first {
					out = change(out)
				}
				if _, err := to.Write(out); err != nil || !first && isLast {
					return
				}
			}
		}
		passing.Go(func() { pass(fetcher, driver, true, forge) })
		passing.Go(func() { pass(driver, fetcher, false, func(b []byte) []byte { return b }) })
	}
}

// Whatever a fetcher says, nothing stands in a volume but what its pod asked for.
func TestOfAThousandLiesNothingIsWrittenThatWasNotAskedFor(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	seamAt, forged := filepath.Join(dir, "s"), filepath.Join(dir, "f")
	driver := wire.NewDriver(wire.DriverConfig{Fetcher: uint32(os.Geteuid()), Readers: r.Readers})
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", seamAt)
	require.NoError(t, err)
	server := wire.NewServer(wire.ServerConfig{Socket: forged, Fetcher: r.asks, Readers: r.Readers})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, driver.Serve(ctx, listener)) })
	running.Go(func() { assert.NoError(t, forger{forged, seamAt}.run(ctx, t)) })
	running.Go(func() { assert.NoError(t, server.Run(ctx)) })
	defer running.Wait()
	defer cancel()
	testwait.Closed(t, driver.Come())
	r.Fetcher = driver

	made, refused := 0, 0
	for i := range testlong.Count(1000, 5000) {
		spec := r.volume(t, fmt.Sprint(i))
		limited, done := context.WithTimeout(t.Context(), 5*time.Second)
		err := r.Publish(limited, spec)
		done()
		if err != nil {
			refused++
			assert.NotContains(t, err.Error(), "first", "the password")
			assert.NoDirExists(t, spec.TargetPath)
			continue
		}
		made++
		assert.NoError(t, filepath.WalkDir(spec.TargetPath, func(path string, _ fs.DirEntry, err error) error {
			name, _ := filepath.Rel(spec.TargetPath, path)
			_, inside, _ := strings.Cut(name, "/")
			if strings.HasPrefix(name, "..") && inside != "" {
				assert.Contains(t, []string{
					"connections", "connections/warehouse", "variables", "variables/region",
					"airflow", "airflow/connections.json", "airflow/variables.json", "manifest.json",
				}, inside)
			}
			return err
		}))
		require.NoError(t, r.Unpublish(t.Context(), spec.ID, spec.TargetPath))
	}
	assert.Positive(t, made)
	assert.Positive(t, refused)
	t.Logf("%d volumes made, %d refused", made, refused)
}
