package main

import (
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/leoflow/secrets-csi/internal/regular"
)

const (
	// terminationLog is Kubernetes' default terminationMessagePath: kubelet makes the file for each start of
	// a container, and shows in the pod's status what is in it when the container ends.
	terminationLog = "/dev/termination-log"
	// mostWords is what kubelet shows of it.
	mostWords = 4 << 10
)

// lastWords is the path of a file in which the pod's author finds why the directory is not complete: a pod may
// write no events. Kubelet shows them when the container ends, and until then 'fetcher complete' prints them, which
// makes them the event that kubelet writes of a failed startup probe. Nothing is made where there is no such file.
type lastWords string

// say replaces what was said before; nil takes it back. Words that cannot be said are in the log all the same.
func (w lastWords) say(why error) {
	file, err := w.open(os.O_WRONLY)
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }()
	if file.Truncate(0) == nil && why != nil {
		text := why.Error()
		_, _ = file.WriteString(strings.ToValidUTF8(text[:min(len(text), mostWords)], ""))
	}
}

// said is what was said last.
func (w lastWords) said() string {
	file, err := w.open(os.O_RDONLY)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	text, _ := io.ReadAll(io.LimitReader(file, mostWords))
	return string(text)
}

// open takes a file alone, and no link to one.
func (w lastWords) open(mode int) (*os.File, error) {
	return regular.OpenFile(string(w), mode|syscall.O_NOFOLLOW)
}
