package stack

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

// Kubelet stands in for kubelet: it makes the CSI calls that kubelet makes for a pod
// with an inline volume, with what kubelet puts into them.
type Kubelet struct {
	Node csi.NodeClient
	// PodsDir is where target paths are laid out, as below kubelet's own "pods".
	PodsDir    string
	connection *grpc.ClientConn

	mu sync.Mutex
	// pods are those with a volume, or with one that may be half made.
	pods map[string]Pod
}

// Pod is a pod with one volume of ours.
type Pod struct {
	Name, Namespace, ServiceAccount, UID string
	// Token is the pod's token for core, as tokenRequests brings it.
	Token string
	// CloudTokens are the pod's tokens for other audiences, by audience.
	CloudTokens map[string]string
	// TaskToken is the key "token" of the volume's nodePublishSecretRef; empty for none.
	TaskToken string
	// Attributes are the volume's volumeAttributes.
	Attributes map[string]string
}

// DialKubelet connects to the driver's socket.
func DialKubelet(socket, podsDir string) (*Kubelet, error) {
	// Kubelet dials anew for each call, so a driver that restarts is found at once.
	connection, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)), grpc.WithUnaryInterceptor(endInTime),
		grpc.WithConnectParams(grpc.ConnectParams{
			MinConnectTimeout: callTimeout,
			Backoff:           backoff.Config{BaseDelay: 5 * time.Millisecond, Multiplier: 1.6, MaxDelay: 20 * time.Millisecond},
		}))
	if err != nil {
		return nil, fmt.Errorf("dialling the driver: %w", err)
	}
	return &Kubelet{Node: csi.NewNodeClient(connection), PodsDir: podsDir, connection: connection, pods: map[string]Pod{}}, nil
}

// callTimeout is how long kubelet waits for a driver's answer.
const callTimeout = 2 * time.Minute

func endInTime(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return invoke(ctx, method, request, reply, conn, options...)
}

// Close ends the connection.
func (k *Kubelet) Close() error { return k.connection.Close() }

// VolumeID is the id of the pod's volume.
func (p Pod) VolumeID() string { return "csi-" + p.UID }

// Target is where the pod's volume is mounted.
func (k *Kubelet) Target(p Pod) string {
	return filepath.Join(k.PodsDir, p.UID, "volumes", "kubernetes.io~csi", "leoflow", "mount")
}

// Publish makes the parent directory, as kubelet does, and publishes the volume.
func (k *Kubelet) Publish(ctx context.Context, p Pod) error {
	if err := os.MkdirAll(filepath.Dir(k.Target(p)), 0o750); err != nil {
		return fmt.Errorf("making the volume's parent: %w", err)
	}
	request, err := k.PublishRequest(p)
	if err != nil {
		return err
	}
	k.mu.Lock()
	k.pods[p.UID] = p
	k.mu.Unlock()
	_, err = k.Node.NodePublishVolume(ctx, request)
	return err
}

// PublishRequest is what kubelet sends for the pod.
func (k *Kubelet) PublishRequest(p Pod) (*csi.NodePublishVolumeRequest, error) {
	requested := map[string]any{}
	for audience, token := range p.CloudTokens {
		requested[audience] = requestedToken(token)
	}
	requested["leoflow-core"] = requestedToken(p.Token)
	requested["kubelet"] = requestedToken(serviceAccountToken(p))
	tokens, err := json.Marshal(requested)
	if err != nil {
		return nil, fmt.Errorf("encoding the token: %w", err)
	}
	volumeContext := map[string]string{
		"csi.storage.k8s.io/ephemeral":           "true",
		"csi.storage.k8s.io/pod.name":            p.Name,
		"csi.storage.k8s.io/pod.namespace":       p.Namespace,
		"csi.storage.k8s.io/pod.uid":             p.UID,
		"csi.storage.k8s.io/serviceAccount.name": p.ServiceAccount,
	}
	for key, value := range p.Attributes {
		volumeContext[key] = value
	}
	secrets := map[string]string{"csi.storage.k8s.io/serviceAccount.tokens": string(tokens)}
	if p.TaskToken != "" {
		secrets["token"] = p.TaskToken
	}
	return &csi.NodePublishVolumeRequest{
		VolumeId:   p.VolumeID(),
		TargetPath: k.Target(p),
		Readonly:   true,
		VolumeCapability: &csi.VolumeCapability{
			AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER},
			AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
		},
		VolumeContext: volumeContext,
		Secrets:       secrets,
	}, nil
}

// serviceAccountToken stands for one that kubelet got: it names the pod's service account.
func serviceAccountToken(p Pod) string {
	payload := fmt.Sprintf(`{"sub":"system:serviceaccount:%s:%s"}`, p.Namespace, p.ServiceAccount)
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".unsigned"
}

func requestedToken(token string) map[string]any {
	return map[string]any{"token": token, "expirationTimestamp": time.Now().Add(time.Hour).UTC()}
}

// Unpublish takes the pod's volume away, and the directories that kubelet made.
func (k *Kubelet) Unpublish(ctx context.Context, p Pod) error {
	_, err := k.Node.NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: p.VolumeID(), TargetPath: k.Target(p)})
	if err != nil {
		return err
	}
	k.mu.Lock()
	delete(k.pods, p.UID)
	k.mu.Unlock()
	return os.RemoveAll(filepath.Join(k.PodsDir, p.UID))
}

// UnpublishAll unpublishes every volume that is or may be there.
func (k *Kubelet) UnpublishAll(ctx context.Context) error {
	k.mu.Lock()
	pods := slices.Collect(maps.Values(k.pods))
	k.mu.Unlock()
	var errs []error
	for _, pod := range pods {
		errs = append(errs, k.Unpublish(ctx, pod))
	}
	return errors.Join(errs...)
}
