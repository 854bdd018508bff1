package certificate

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Both find it empty. The one that writes later serves what the other has made.
func TestReplicasThatRaceAgree(t *testing.T) {
	c := newCluster()
	first, second := newReplica(t, c), newReplica(t, c)
	c.before = func() { require.NoError(t, second.Start(t.Context())) }
	require.NoError(t, first.Start(t.Context()))
	assert.Equal(t, first.leaf(), second.leaf())
	assert.Equal(t, first.VersionKey(), second.VersionKey())
	assert.NotContains(t, first.log.String(), "renewed", "it has made nothing")

	c.pass(leafLife * 3 / 4)
	c.before = func() { assert.True(t, second.look()) }
	assert.True(t, first.look())
	assert.Equal(t, first.leaf(), second.leaf())
	first.assertTrusted(c)
}

// A row changes by hand what a core keeps that runs for a day. Drivers have been given what they
// trust before.
func TestWhatSomebodyEditsIsMended(t *testing.T) {
	empty := func(data map[string][]byte) { clear(data) }
	for name, row := range map[string]struct {
		resource string
		object   Object
		change   func(data map[string][]byte)
		restart  bool
		leaf     string // what becomes of it: "stays" or "renewed"
		trusted  int    // how many authorities
		warns    string
	}{
		"certificate deleted":    {secrets, keysAt, func(d map[string][]byte) { delete(d, servedKey) }, false, "renewed", 1, "tls.crt with tls.key is no certificate"},
		"certificate and key":    {secrets, keysAt, func(d map[string][]byte) { delete(d, servedKey); delete(d, servedKeyKey) }, false, "renewed", 1, ""},
		"key garbage":            {secrets, keysAt, func(d map[string][]byte) { d[servedKeyKey] = []byte("n33dle") }, false, "renewed", 1, "tls.crt with tls.key is no certificate"},
		"authority's key gone":   {secrets, keysAt, func(d map[string][]byte) { delete(d, signKey) }, false, "stays", 2, ""},
		"authority's key broken": {secrets, keysAt, func(d map[string][]byte) { d[signKey] = []byte("n33dle") }, false, "stays", 2, "ca.key is not PEM"},
		"authorities garbage":    {secrets, keysAt, func(d map[string][]byte) { d[trustKey] = []byte("n33dle") }, false, "stays", 2, "ca.crt is not PEM"},
		"all of it":              {secrets, keysAt, empty, false, "stays", 2, ""},
		"all of it, restarted":   {secrets, keysAt, empty, true, "renewed", 1, ""},
		"version key":            {secrets, keysAt, func(d map[string][]byte) { d[versionKey] = []byte("n33dle") }, false, "stays", 1, "version.key is too short"},
		"published":              {secrets, keysAt, func(d map[string][]byte) { d[publishedKey] = []byte("n33dle") }, false, "stays", 1, "ca.published is no time"},
		"something besides":      {secrets, keysAt, func(d map[string][]byte) { d["n33dle"] = []byte("n33dle") }, false, "stays", 1, ""},
		"trust emptied":          {configMaps, trustAt, empty, false, "stays", 1, ""},
		"trust garbage":          {configMaps, trustAt, func(d map[string][]byte) { d[trustKey] = []byte("n33dle") }, false, "stays", 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster()
			core := started(t, c)
			other := started(t, c)
			c.pass(overlap + time.Hour)
			core.look()
			before, given, version := core.leaf(), c.data(configMaps, trustAt)[trustKey], core.VersionKey()
			c.edit(row.resource, row.object, row.change)
			if row.restart {
				core, other = started(t, c), nil
			} else {
				core.look()
				other.look()
			}
			core.look() // as a minute later
			core.assertTrusted(c)
			assert.Equal(t, row.leaf == "stays", before.Equal(core.leaf()))
			assert.Len(t, certificatesIn(t, c.data(configMaps, trustAt)[trustKey]), row.trusted)
			if !row.restart {
				require.NoError(t, trustsLeaf(given, core.leaf(), c.now), "of a driver that was given nothing new")
				assert.Equal(t, core.leaf(), other.leaf())
				assert.Equal(t, version, core.VersionKey())
				assert.Equal(t, string(c.data(secrets, keysAt)[versionKey]), version.Reveal())
			}
			assert.Contains(t, core.log.String(), row.warns)
			assert.NotContains(t, core.log.String(), "n33dle")
			writes := c.objects[secrets+"/"+keysAt.String()].version
			core.look()
			assert.Equal(t, writes, c.objects[secrets+"/"+keysAt.String()].version, "it is at rest")
		})
	}
}

func TestADeletedSecretIsFilledOnceItIsThere(t *testing.T) {
	c := newCluster()
	core := started(t, c)
	before := core.leaf()
	delete(c.objects, secrets+"/"+keysAt.String())
	for range 3 {
		assert.False(t, core.look())
	}
	assert.Equal(t, before, core.leaf())
	assert.Contains(t, core.log.String(), "Secret leoflow/core-authority is not there; 'helm upgrade' makes it, and core fills it")
	lost := lines(core.log.String())
	core.look()
	assert.Equal(t, lost, lines(core.log.String()), "it is told once")
	err := newReplica(t, c).Start(canceledSoon(t))
	require.ErrorContains(t, err, "is not there")

	c.edit(secrets, keysAt, func(map[string][]byte) {})
	core.look()
	assert.Equal(t, before, core.leaf())
	core.assertTrusted(c)
}

// The API server is away for as long as a certificate lasts at most, before it is renewed.
func TestAnAPIServerThatIsAwayTakesNothing(t *testing.T) {
	c := newCluster()
	core := started(t, c)
	before := core.leaf()
	c.away = errAway
	c.pass(leafLife - 2*time.Hour)
	assert.False(t, core.look())
	assert.Equal(t, before, core.leaf())
	assert.Equal(t, 1, lines(core.log.String())-2, core.log.String())
	core.assertTrusted(c)
	c.away = nil
	assert.True(t, core.look())
	core.assertTrusted(c)
}

func TestACoreBeginsWithItsCopy(t *testing.T) {
	c := newCluster()
	running := started(t, c)
	folder := t.TempDir()
	withCopy := func(config *Config) { config.Copy = folder }
	c.away = errAway
	require.ErrorContains(t, newReplica(t, c, withCopy).Start(canceledSoon(t)), "keeping core's certificate: ConfigMap drivers/core-ca: the API server cannot be reached")
	for _, key := range []string{trustKey, servedKey, servedKeyKey, versionKey} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, key), c.data(secrets, keysAt)[key], 0o600))
	}
	again := started(t, c, withCopy)
	assert.Equal(t, running.leaf(), again.leaf())
	assert.Equal(t, running.VersionKey(), again.VersionKey())
	assert.Contains(t, again.log.String(), "core begins with what its pod has of it")
	c.away = nil
	assert.False(t, again.look())
}

// Nothing can be told from one clock that is wrong: the certificate may be good for years to it, or
// over for long.
func TestNothingIsRenewedByAClockThatIsWrong(t *testing.T) {
	for _, wrong := range []time.Duration{-3 * 365 * 24 * time.Hour, 3 * 365 * 24 * time.Hour} {
		for _, ofServer := range []bool{true, false} {
			t.Run(fmt.Sprint(wrong, ofServer), func(t *testing.T) {
				c := newCluster()
				now := begin
				core := started(t, c, func(config *Config) { config.Now = func() time.Time { return now } })
				core.look()
				held := maps.Clone(c.data(secrets, keysAt))
				if ofServer {
					c.pass(wrong)
				} else {
					now = now.Add(wrong)
				}
				assert.False(t, core.look())
				assert.Equal(t, held, c.data(secrets, keysAt))
				assert.Contains(t, core.log.String(), "nothing is renewed until one of them is put right")
				require.NoError(t, trustsLeaf(c.data(configMaps, trustAt)[trustKey], core.leaf(), begin))
			})
		}
	}
}

// Where there is none, the API server's clock is as good as any; what it made is replaced once it is
// right.
func TestWhatAWrongClockMadeIsReplaced(t *testing.T) {
	for _, wrong := range []time.Duration{-365 * 24 * time.Hour, 365 * 24 * time.Hour} {
		c := newCluster()
		c.pass(wrong)
		core := started(t, c, func(config *Config) { config.Now = func() time.Time { return begin } })
		require.Error(t, trustsLeaf(c.data(configMaps, trustAt)[trustKey], core.leaf(), begin))
		c.now = begin
		core.look()
		core.look()
		core.assertTrusted(c)
		assert.WithinDuration(t, begin.Add(leafLife), core.leaf().NotAfter, time.Second)
	}
}

func TestRunLooksEveryMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.now = time.Now()
		core := started(t, c, func(config *Config) { config.Now = func() time.Time { return c.now } })
		before := core.leaf()
		changed := make(chan struct{}, 1)
		ended := make(chan struct{})
		ctx, cancel := withCancel(t)
		go func() {
			defer close(ended)
			core.Run(ctx, func() { changed <- struct{}{} })
		}()
		began := time.Now()
		c.edit(secrets, keysAt, func(data map[string][]byte) { delete(data, servedKey) })
		<-changed
		assert.LessOrEqual(t, time.Since(began), time.Minute)
		assert.NotEqual(t, before, core.leaf())
		cancel()
		<-ended
	})
}

// No form in which a keeper may be printed shows a key.
func TestAKeeperShowsNoKey(t *testing.T) {
	c := newCluster()
	core := started(t, c)
	held := c.data(secrets, keysAt)
	for _, printed := range []string{fmt.Sprintf("%+v", *core.state.Load()), fmt.Sprintf("%#v", *core.state.Load()), core.log.String()} {
		for _, key := range []string{signKey, servedKeyKey} {
			assert.NotContains(t, printed, body(t, held[key]))
			assert.NotContains(t, printed, string(held[key][40:80]))
		}
		assert.NotContains(t, printed, string(held[versionKey]))
	}
	assert.Empty(t, core.state.Load().anchors[0].key.Reveal(), "an authority's key is read when it is needed")
}
