package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/test/stack"
)

// A bare driver and a bare core are the same three processes and the same calls between them as
// ours, and do nothing else: the one mounts and writes what a bare volume has, the other knows
// one answer. What is beyond them is ours; what is beyond a bare volume is mostly gRPC's and
// TLS's.

// bareWindow spares the calls what it spares ours.
const bareWindow = 1 << 20

// bareSocket and bareAddress are files in the directory of a bare driver.
const (
	bareSocket  = "csi.sock"
	bareAddress = "address"
	// bareServes is what either says once it can be called.
	bareServes = "serving"
)

// serveBare serves as "core" or as "driver" until it is killed.
func serveBare(ctx context.Context, role, dir string) error {
	if role == "core" {
		return serveBareCore(ctx, dir)
	}
	return serveBareDriver(ctx, dir)
}

func serveBareCore(ctx context.Context, dir string) error {
	transport, err := credentials.NewServerTLSFromFile(filepath.Join(dir, "core.crt"), filepath.Join(dir, "core.key"))
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.Creds(transport), grpc.StaticStreamWindowSize(bareWindow), grpc.StaticConnWindowSize(bareWindow))
	secretsv1.RegisterSecretsServiceServer(server, bareCore{answer: bareAnswer()})
	if err := os.WriteFile(filepath.Join(dir, bareAddress), []byte(listener.Addr().String()), 0o600); err != nil {
		return err
	}
	fmt.Println(bareServes)
	return server.Serve(listener)
}

func serveBareDriver(ctx context.Context, dir string) error {
	address, err := os.ReadFile(filepath.Join(dir, bareAddress))
	if err != nil {
		return err
	}
	transport, err := credentials.NewClientTLSFromFile(filepath.Join(dir, "ca.crt"), "core")
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient(string(address), grpc.WithTransportCredentials(transport),
		grpc.WithStaticStreamWindowSize(bareWindow), grpc.WithStaticConnWindowSize(bareWindow))
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", filepath.Join(dir, bareSocket))
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.StaticStreamWindowSize(bareWindow), grpc.StaticConnWindowSize(bareWindow))
	csi.RegisterNodeServer(server, bareDriver{core: secretsv1.NewSecretsServiceClient(conn)})
	fmt.Println(bareServes)
	return server.Serve(listener)
}

type bareCore struct {
	secretsv1.UnimplementedSecretsServiceServer
	answer *secretsv1.FetchResponse
}

func (c bareCore) Fetch(context.Context, *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
	return c.answer, nil
}

func bareAnswer() *secretsv1.FetchResponse {
	answer := &secretsv1.FetchResponse{Results: []*secretsv1.CallerResult{{}}}
	for i, id := range strings.Split(ids(), ", ") {
		answer.Connections = append(answer.Connections, &secretsv1.Connection{
			Id: id, Version: strings.Repeat("v", 22), ConnType: "postgres", Host: new("db-0.internal"), Login: new("etl"), Password: new("password-first"),
			Schema: new("reports"), Port: new(uint32(5432)), Extra: new(`{"sslmode": "require", "connect_timeout": 10}`),
		})
		answer.Results[0].Connections = append(answer.Results[0].Connections, uint32(i))
	}
	return answer
}

type bareDriver struct {
	csi.UnimplementedNodeServer
	core secretsv1.SecretsServiceClient
}

func (d bareDriver) NodePublishVolume(ctx context.Context, request *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	_, err := d.core.Fetch(ctx, &secretsv1.FetchRequest{
		Callers:     []*secretsv1.Caller{{Token: request.GetVolumeContext()["csi.storage.k8s.io/serviceAccount.tokens"]}},
		Connections: &secretsv1.Selection{Names: strings.Split(ids(), ", ")},
	})
	return &csi.NodePublishVolumeResponse{}, errors.Join(err, mountBare(request.GetTargetPath()), writeBare(request.GetTargetPath()))
}

func (bareDriver) NodeUnpublishVolume(_ context.Context, request *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	return &csi.NodeUnpublishVolumeResponse{}, unmountBare(request.GetTargetPath())
}

// peer is a bare driver that runs.
type peer struct {
	kubelet   *stack.Kubelet
	processes []*stack.Process
}

// startPeer starts a bare core and a bare driver in a directory of the stack.
func startPeer(ctx context.Context, s *stack.Stack) (p *peer, err error) {
	dir := filepath.Join(s.Dir, "peer")
	p = &peer{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return p, err
	}
	for _, name := range []string{"core.crt", "core.key", "ca.crt"} {
		if err := os.Link(filepath.Join(s.Dir, name), filepath.Join(dir, name)); err != nil {
			return p, err
		}
	}
	for _, role := range []string{"core", "driver"} {
		process, err := stack.Run("/proc/self/exe", "--bare="+role, "--bin="+dir)
		if err != nil {
			return p, err
		}
		p.processes = append(p.processes, process)
		if _, err := process.WaitFor(ctx, bareServes); err != nil {
			return p, err
		}
	}
	p.kubelet, err = stack.DialKubelet(filepath.Join(dir, bareSocket), filepath.Join(dir, "pods"))
	return p, err
}

func (p *peer) close() (err error) {
	if p.kubelet != nil {
		err = p.kubelet.Close()
	}
	for _, process := range p.processes {
		process.Kill()
	}
	return err
}
