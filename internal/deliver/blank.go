package deliver

import (
	"github.com/leoflow/secrets-csi/pkg/mount"
)

// blank is the tmpfs of a new volume, which is made while its entries are fetched.
type blank struct {
	made  chan struct{} // closed
	Blank               // nil where there was nothing to make
	err   error
}

// newBlank begins to make it. It must be dropped.
func (d *Deliverer) newBlank(spec Volume) *blank {
	b := &blank{made: make(chan struct{})}
	go func() {
		defer close(b.made)
		b.err = d.guard.Run(subject(spec), func() (err error) {
			b.Blank, err = d.Place.Blank(spec.TargetPath, d.VolumeSize)
			return err
		})
	}()
	return b
}

// mount fills it and mounts it at target, and reports whether it did: a volume may be there, or it
// stands in a directory that needs no mount.
func (b *blank) mount(target string, content mount.Content) (made mount.Outcome, mounted bool, err error) {
	<-b.made
	if b.err != nil {
		return mount.Outcome{}, false, failAt(target, "making the volume", b.err)
	}
	if b.Blank == nil {
		return mount.Outcome{}, false, nil
	}
	if made, err = b.Fill(content); err != nil {
		return mount.Outcome{}, false, failAt(target, "filling the volume", err)
	}
	if mounted, err = b.Mount(); err != nil {
		return mount.Outcome{}, false, failAt(target, "making the volume", err)
	}
	return made, mounted, nil
}

// drop leaves nothing of what was not mounted.
func (b *blank) drop() {
	if <-b.made; b.err == nil && b.Blank != nil {
		b.Close()
	}
}
