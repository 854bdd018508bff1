package certificate

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const (
	secrets    = "secrets"
	configMaps = "configmaps"

	every = time.Minute
	// tries is how often one look begins again because another replica was faster.
	tries = 5
	// starts is how often core looks before it gives up for want of any certificate.
	starts = 3
	// mostClockDifference is how far core's clock and the API server's may be apart.
	mostClockDifference = 10 * time.Minute
)

// Objects are the Secrets and ConfigMaps of a cluster.
type Objects interface {
	// Get returns the object's version and data, and what time it is to the API server. It fails with
	// fs.ErrNotExist where there is no such object.
	Get(ctx context.Context, resource, namespace, name string) (version string, data map[string][]byte, at time.Time, err error)
	// Put sets keys of an object that is still at version. Where it is not, done is false.
	Put(ctx context.Context, resource, namespace, name, version string, data map[string][]byte) (done bool, err error)
}

// Object is the name of one.
type Object struct{ Namespace, Name string }

// Config says where the certificate is kept.
type Config struct {
	Objects Objects
	// Secret holds all of it, and Trust is the ConfigMap from which drivers read whom to trust. Both
	// have to be there, and may be empty.
	Secret, Trust Object
	// Former is a Secret with a certificate that core had before, or that is not there. It is served
	// until drivers trust the new one.
	Former Object
	// Copy is a folder with the keys of Secret, for a start while the API server is away; or empty.
	Copy string
	// Names are those that drivers call core by.
	Names []string
	Log   *slog.Logger
	// Now is time.Now where nil.
	Now func() time.Time
}

// Keeper has a good certificate at any time. Start it, then Run it.
type Keeper struct {
	config Config
	state  atomic.Pointer[state]
	fault  string // that was logged last
}

// NewKeeper asks nobody yet.
func NewKeeper(config Config) *Keeper {
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Keeper{config: config}
}

// Pair is the certificate and its key, as PEM.
func (k *Keeper) Pair() (certificate []byte, key secret.Text) {
	is := k.state.Load()
	return is.leaf.chain, is.leaf.key
}

// VersionKey is what entries' versions are derived from. All replicas have the same.
func (k *Keeper) VersionKey() secret.Text { return k.state.Load().version }

// Start fails where there is no certificate to serve with, and the API server gives none.
func (k *Keeper) Start(ctx context.Context) error {
	for try := range starts {
		_, err := k.look(ctx)
		if k.state.Load() != nil {
			k.tell(err)
			return nil
		}
		if copied, usable := k.copied(); usable {
			k.state.Store(&copied)
			k.tell(fmt.Errorf("core begins with what its pod has of it: %w", err))
			return nil
		}
		if try == starts-1 || ctx.Err() != nil {
			return fmt.Errorf("keeping core's certificate: %w", err)
		}
		wait(ctx, time.Second<<try)
	}
	return nil
}

// Run looks every minute until ctx ends, and calls changed after the certificate is another.
func (k *Keeper) Run(ctx context.Context, changed func()) {
	for wait(ctx, every) {
		isNew, err := k.look(ctx)
		k.tell(err)
		if isNew {
			changed()
		}
	}
}

func wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// tell logs a fault once, for as long as it is the same.
func (k *Keeper) tell(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != k.fault && text != "" {
		k.config.Log.Error("core's certificate is not looked after", logkey.Error, err)
	}
	k.fault = text
}

// look brings the objects up to date, and what core serves with.
func (k *Keeper) look(ctx context.Context) (isNew bool, err error) {
	for range tries {
		is, done, err := k.agree(ctx)
		if err != nil && is == nil {
			return false, err
		}
		if done || err != nil {
			return k.use(*is), err
		}
	}
	return false, fmt.Errorf("writing Secret %s: it changes all the time", k.config.Secret)
}

// agree has Secret and Trust say the same as this core; done is false where another replica was
// faster. Where is is given along with an error, it is what to serve with nevertheless.
func (k *Keeper) agree(ctx context.Context) (is *state, done bool, err error) {
	config := k.config
	trustVersion, trust, _, err := config.Objects.Get(ctx, configMaps, config.Trust.Namespace, config.Trust.Name)
	if err != nil {
		return nil, false, config.fault("ConfigMap", config.Trust, err)
	}
	version, data, at, err := config.Objects.Get(ctx, secrets, config.Secret.Namespace, config.Secret.Name)
	if err != nil {
		return nil, false, config.fault("Secret", config.Secret, err)
	}
	held, unreadable := parse(data)
	next, doubt := held, k.doubt(held, at)
	if doubt == nil {
		if next, err = k.next(ctx, held, at, trust[trustKey]); err != nil {
			return nil, false, err
		}
	}
	if wanted := next.data(); doubt == nil && !maps.EqualFunc(wanted, only(data, wanted), bytes.Equal) {
		done, err := config.Objects.Put(ctx, secrets, config.Secret.Namespace, config.Secret.Name, version, wanted)
		if err != nil {
			return nil, false, config.fault("Secret", config.Secret, err)
		}
		if !done {
			return nil, false, nil
		}
		k.report(held, next, unreadable)
	}
	if bundle := next.bundle(); !bytes.Equal(bundle, trust[trustKey]) {
		done, err := config.Objects.Put(ctx, configMaps, config.Trust.Namespace, config.Trust.Name, trustVersion, map[string][]byte{trustKey: bundle})
		if err != nil {
			return &next, true, config.fault("ConfigMap", config.Trust, err)
		}
		return &next, done, nil
	}
	return &next, true, doubt
}

// next is what the Secret should hold.
func (k *Keeper) next(ctx context.Context, held state, at time.Time, trust []byte) (state, error) {
	known := k.known()
	if held.leaf.certificate == nil && known.leaf.certificate == nil && k.config.Former.Name != "" {
		_, data, _, err := k.config.Objects.Get(ctx, secrets, k.config.Former.Namespace, k.config.Former.Name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return state{}, k.config.fault("Secret", k.config.Former, err)
		}
		known, _ = parse(data)
		known.version = secret.Text{} // as of all else that was kept elsewhere
	}
	var trusted []*x509.Certificate
	trusted, _ = readAnchors(trust) // what drivers cannot read they do not trust
	return held.next(at, k.config.Names, trusted, known)
}

// doubt says why nothing is to be renewed now. A certificate that is there is good for a month more
// when its time comes, and one that is made by a wrong clock may be good for nothing.
func (k *Keeper) doubt(held state, at time.Time) error {
	own := k.config.Now()
	if held.leaf.certificate == nil || own.Sub(at).Abs() <= mostClockDifference {
		return nil
	}
	return fmt.Errorf("core's clock says %s and the API server's %s: nothing is renewed until one of them is put right",
		own.UTC().Format(time.RFC3339), at.UTC().Format(time.RFC3339))
}

func (k *Keeper) known() state {
	if current := k.state.Load(); current != nil {
		return *current
	}
	return state{}
}

// use serves with what is kept from now on. A Secret without a certificate, which cannot be mended at
// present, takes none away.
func (k *Keeper) use(is state) (isNew bool) {
	before := k.state.Load()
	if is.leaf.certificate == nil {
		return false
	}
	for i := range is.anchors {
		is.anchors[i].key = secret.Text{} // that of an authority is read when it is needed
	}
	if before != nil {
		is.version = before.version // a core has one for its life
	}
	k.state.Store(&is)
	return before == nil || !bytes.Equal(before.leaf.chain, is.leaf.chain)
}

// report logs what was made.
func (k *Keeper) report(before, after state, unreadable error) {
	if unreadable != nil {
		k.config.Log.Warn("replacing what cannot be read of core's certificate", logkey.Error, unreadable)
	}
	if len(before.anchors) == 0 || !before.anchors[0].certificate.Equal(after.anchors[0].certificate) {
		k.config.Log.Info("made an authority for core", logkey.Until, after.anchors[0].certificate.NotAfter)
	}
	if before.leaf.certificate == nil || !before.leaf.certificate.Equal(after.leaf.certificate) {
		k.config.Log.Info("renewed core's certificate", logkey.Until, after.leaf.certificate.NotAfter)
	}
}

// copied is what the pod has of the Secret.
func (k *Keeper) copied() (state, bool) {
	if k.config.Copy == "" {
		return state{}, false
	}
	data := map[string][]byte{}
	for _, key := range []string{trustKey, servedKey, servedKeyKey, versionKey} {
		if text, err := os.ReadFile(filepath.Join(k.config.Copy, key)); err == nil {
			data[key] = text
		}
	}
	is, _ := parse(data)
	return is, is.leaf.certificate != nil && is.version.Len() > 0
}

func (c Config) fault(kind string, object Object, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s %s is not there; 'helm upgrade' makes it, and core fills it", kind, object)
	}
	return fmt.Errorf("%s %s: %w", kind, object, err)
}

// String is as flags spell it.
func (o Object) String() string { return o.Namespace + "/" + o.Name }

// only is what data has of the keys of wanted.
func only(data, wanted map[string][]byte) map[string][]byte {
	some := map[string][]byte{}
	for key := range wanted {
		some[key] = data[key]
	}
	return some
}
