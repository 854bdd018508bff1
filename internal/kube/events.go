package kube

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"

	"github.com/leoflow/secrets-csi/internal/logkey"
)

const (
	// component is who events are from.
	component = "leoflow-secrets-csi"
	// maxEventMessage is what the API server takes.
	maxEventMessage = 1024
)

// Events writes events about pods, as client-go's recorder does: alike ones are counted
// up, and of those that come too fast some are dropped. It takes the right to create and
// patch events.
type Events struct {
	recorder    record.EventRecorder
	broadcaster record.EventBroadcaster
	limit       *budget
}

// NewEvents does not connect yet. What it sends is from the node named.
func NewEvents(config *rest.Config, node string, log *slog.Logger) (*Events, error) {
	version := corev1.SchemeGroupVersion
	made, err := client(config, version, func(scheme *runtime.Scheme) error {
		metav1.AddToGroupVersion(scheme, version)
		scheme.AddKnownTypes(version, &corev1.Event{})
		return nil
	})
	if err != nil {
		return nil, err
	}
	// The broadcaster would log whole events; the sink says what there is to say.
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), klog.New(nil)))
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&eventSink{ctx: ctx, client: made, log: log})
	return &Events{
		recorder:    broadcaster.NewRecorder(runtime.NewScheme(), corev1.EventSource{Component: component, Host: node}),
		broadcaster: endedBy{broadcaster, cancel},
		limit:       newBudget(),
	}, nil
}

// endedBy ends the calls of the sink along with the broadcaster.
type endedBy struct {
	record.EventBroadcaster
	cancel context.CancelFunc
}

func (e endedBy) Shutdown() {
	e.cancel()
	e.EventBroadcaster.Shutdown()
}

// Close ends the sending. What has not been sent by then is lost.
func (e *Events) Close() error {
	e.broadcaster.Shutdown()
	return nil
}

// Warn queues a warning about a pod, and returns at once. What its namespace and the node
// have no room for is dropped.
func (e *Events) Warn(namespace, name, uid, reason, message string) {
	if !e.limit.allow(namespace) {
		return
	}
	pod := &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: namespace, Name: name, UID: types.UID(uid)}
	e.recorder.Event(pod, corev1.EventTypeWarning, reason, shorten(message))
}

// WarnNamespace queues a warning about a whole namespace, as Warn does about a pod.
func (e *Events) WarnNamespace(namespace, reason, message string) {
	if !e.limit.allow(namespace) {
		return
	}
	// Kubernetes takes an event only in the namespace that its object says it is in.
	whole := &corev1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Namespace: namespace, Name: namespace}
	e.recorder.Event(whole, corev1.EventTypeWarning, reason, shorten(message))
}

// shorten cuts at a character, so that the rest stays text.
func shorten(message string) string {
	if len(message) <= maxEventMessage {
		return message
	}
	const more = "…"
	end := maxEventMessage - len(more)
	for end > 0 && message[end]&0xC0 == 0x80 {
		end--
	}
	return message[:end] + more
}

// eventSink carries events to the API server. It returns errors as client-go has them,
// since the broadcaster tells by their types whether to try again.
type eventSink struct {
	ctx     context.Context
	client  *rest.RESTClient
	log     *slog.Logger
	failing atomic.Bool
}

func (s *eventSink) Create(event *corev1.Event) (*corev1.Event, error) {
	return s.send(s.client.Post(), event, event)
}

func (s *eventSink) Update(event *corev1.Event) (*corev1.Event, error) {
	return s.send(s.client.Put().Name(event.Name), event, event)
}

func (s *eventSink) Patch(event *corev1.Event, data []byte) (*corev1.Event, error) {
	return s.send(s.client.Patch(types.StrategicMergePatchType).Name(event.Name), event, data)
}

func (s *eventSink) send(request *rest.Request, event *corev1.Event, body any) (*corev1.Event, error) {
	var answer corev1.Event
	err := request.Namespace(event.Namespace).Resource("events").Body(body).Do(s.ctx).Into(&answer)
	s.note(err)
	return &answer, err
}

// note logs the first failure of a row.
func (s *eventSink) note(err error) {
	failing := err != nil && s.ctx.Err() == nil
	if s.failing.Swap(failing) || !failing {
		return
	}
	err = fault(err, "create and patch events")
	s.log.Warn("events are not written", logkey.Error, fmt.Errorf("writing events about pods: %w", err))
}
