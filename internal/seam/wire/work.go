package wire

import (
	"context"
	"time"

	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// mostWork bounds a request: its pods' tokens mostly, of which kubelet sends a few KiB each.
const mostWork = 64 << 20

// work writes what is asked for, and how long somebody waits for it.
func (w *writer) work(ctx context.Context, work seam.Work) {
	left := time.Duration(0)
	if deadline, has := ctx.Deadline(); has {
		left = max(time.Until(deadline), 1)
	}
	w.uint(uint64(left))
	w.text(work.Source)
	w.selection(work.Connections)
	w.selection(work.Variables)
	w.uint(uint64(work.MaxBytes))
	w.uint(uint64(work.Room))
	w.uint(uint64(work.Least))
	w.flags(work.Partial, work.IsAway)
	w.uint(uint64(len(work.Volumes)))
	for _, volume := range work.Volumes {
		w.volume(volume)
	}
}

func (w *writer) selection(selection call.Selection) {
	w.flags(selection.All)
	w.texts(selection.Names)
}

func (w *writer) volume(v seam.Volume) {
	w.text(v.ID)
	w.text(string(v.Format))
	w.uint(uint64(v.Failures))
	w.flags(v.IsLive, v.Pod.TaskToken, v.Shown != nil)
	w.text(v.Pod.Namespace)
	w.text(v.Pod.ServiceAccount)
	w.text(v.Pod.PodName)
	w.text(v.Pod.PodUID)
	w.text(v.Pod.Token.Reveal())
	w.uint(uint64(len(v.Pod.CloudTokens)))
	for audience, token := range v.Pod.CloudTokens {
		w.text(audience)
		w.text(token.Reveal())
	}
	w.uint(uint64(len(v.Shown)))
	for _, shown := range v.Shown {
		w.text(string(shown.Kind))
		w.text(shown.ID)
		w.text(shown.Env)
	}
}

// work reads what is asked for, and how long somebody waits for it; 0 for as long as the connection
// stands.
func (r *reader) work() (work seam.Work, left time.Duration) {
	left = time.Duration(r.uint())
	work.Source = r.text()
	work.Connections, work.Variables = r.selection(), r.selection()
	work.MaxBytes, work.Room, work.Least = int64(r.uint()), int64(r.uint()), int64(r.uint())
	r.flags(&work.Partial, &work.IsAway)
	work.Volumes = make([]seam.Volume, r.count())
	for i := range work.Volumes {
		work.Volumes[i] = r.volume()
	}
	if len(work.Volumes) == 0 {
		r.fail()
	}
	return work, left
}

func (r *reader) selection() (selection call.Selection) {
	r.flags(&selection.All)
	selection.Names = r.texts()
	return selection
}

func (r *reader) volume() (v seam.Volume) {
	v.ID, v.Format, v.Failures = r.text(), seam.Format(r.text()), int(r.uint())
	says := false
	r.flags(&v.IsLive, &v.Pod.TaskToken, &says)
	v.Pod.Namespace, v.Pod.ServiceAccount, v.Pod.PodName, v.Pod.PodUID = r.text(), r.text(), r.text(), r.text()
	if token := r.text(); token != "" {
		v.Pod.Token = secret.New(token)
	}
	if tokens := r.count(); tokens > 0 {
		v.Pod.CloudTokens = make(map[string]secret.Text, tokens)
		for range tokens {
			audience := r.text()
			v.Pod.CloudTokens[audience] = secret.New(r.text())
		}
	}
	count := r.count()
	if says {
		v.Shown = make([]seam.Shown, count)
	}
	for i := range v.Shown {
		v.Shown[i] = seam.Shown{Name: layout.Name{Kind: layout.Kind(r.text()), ID: r.text()}, Env: r.text()}
	}
	return v
}
