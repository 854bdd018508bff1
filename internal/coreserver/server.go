package coreserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	agentv1 "github.com/leoflow/secrets-csi/api/leoflow/agent/v1"
	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/gate"
	"github.com/leoflow/secrets-csi/internal/coreserver/metastore"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/internal/filewatch"
	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const (
	// MaxRequest is the largest request in bytes: the tokens of a node's pods and the
	// names they ask for.
	MaxRequest = 1 << 20
	// MaxResponse is the largest response in bytes.
	MaxResponse = 8 << 20

	maxHeaders = 16 << 10 // a token among them
	// window is what a connection may bring before core has taken it in. One of a fixed
	// size bounds what callers may send before anything is known of them, and spares each call
	// the pings by which gRPC would measure how large it had best be.
	window             = 256 << 10
	writeBuffer        = 8 << 10 // of a connection that writes: thousands do, when a change is told
	maxConcurrentCalls = 32      // on one connection; a driver's others wait there
	handshakeTimeout   = 5 * time.Second
	maxIdle            = 15 * time.Minute
	// maxAge is when a connection is made anew, perhaps to another core. The watch on it ends
	// by itself within the grace.
	maxAge, ageGrace = 2 * time.Hour, 70 * time.Minute
	minKeepalive     = 5 * time.Second // that a client may ping by
	keepaliveAfter   = 2 * time.Minute // that core pings a silent client
	keepaliveTimeout = 20 * time.Second
	lastWrite        = time.Second // that the audit log may take once nobody is served any more
)

// Server is a core. Serve it once.
type Server struct {
	config       Config
	store        *store.Store
	tickets      tickets
	recent       recent
	tellers      tellers
	audit        *audit.Log
	budget       *audit.Budget // what the log has of each caller
	weight       *gate.Weight
	watches      *gate.Weight // what watches are told at once
	door         *gate.Door
	certificates *certificates     // nil in plaintext
	metastore    *metastore.Reader // nil where there is none
	stopping     chan struct{}
	reloading    sync.Mutex // of the files, and of what is told of them
	telling      telling
	toldUnnamed  sync.Once
	failures     few // of calls, that are logged
	invalid      few // entries, that are
}

// New reads all files and fails where core could not serve from them.
func New(config Config) (*Server, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	s := &Server{
		config: config, audit: audit.NewLog(config.Audit), budget: audit.NewBudget(config.CallerAuditRate),
		weight: gate.NewWeight(config.Memory), watches: gate.NewWeight(config.Memory / 2),
		door:     gate.NewDoor(gate.Limits{Memory: config.Memory, Connections: config.MaxConnections, OfPeer: config.MaxPeerConnections}),
		stopping: make(chan struct{}), telling: telling{tell: config.Tell},
	}
	if !config.Plaintext {
		var err error
		if s.certificates, err = loadCertificates(config); err != nil {
			return nil, err
		}
	}
	shared, err := s.versionSecret()
	if err != nil {
		return nil, err
	}
	if s.tickets, err = newTickets(shared); err != nil {
		return nil, err
	}
	versioner, err := store.NewVersioner(shared)
	if err != nil {
		return nil, err
	}
	s.store, err = store.New(store.Config{
		Connections: config.Connections, Variables: config.Variables, Entries: config.Entries,
		Metastore: config.Metastore.URLFile,
		Rules:     config.Rules, AllowEmpty: config.AllowEmpty, Now: config.Now,
		Memory: config.Memory, SealKey: config.SealKey, Versioner: versioner,
	})
	if err != nil {
		return nil, err
	}
	if config.Metastore.URLFile != "" {
		s.metastore, err = metastore.New(config.Metastore)
	}
	return s, err
}

func (s *Server) versionSecret() (secret.Text, error) {
	switch {
	case s.config.VersionSecret.Len() > 0:
		return s.config.VersionSecret, nil
	case s.config.SealKey != nil:
		return s.config.SealKey.Secret(), nil
	case s.certificates != nil:
		return s.certificates.firstKey, nil
	default:
		return secret.Text{}, errors.New("no secret to derive versions from: want a version secret, a seal key or a TLS key")
	}
}

// Serve answers on listener, which it closes, until ctx ends; then it lets calls in
// flight finish within the grace period and returns nil.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	if s.config.Plaintext && !isLoopback(listener.Addr()) {
		_ = listener.Close()
		return fmt.Errorf("plaintext is for loopback addresses only; %s is none", listener.Addr())
	}
	server, status := s.build()
	watching, stopWatching := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() {
		filewatch.Watch(watching, s.config.Log, filewatch.Places{Files: s.files(), Folders: s.store.Folders}, s.config.Poll, s.Reload)
	})
	background.Go(func() { s.tellers.run(watching, s.store.History, min(s.config.Heartbeat, s.config.WatchAge)/32) })
	s.logInvalid(s.store.Current(), nil)
	if s.metastore != nil {
		background.Go(s.follow(watching))
	}
	background.Go(func() {
		<-watching.Done()
		if ctx.Err() != nil {
			s.config.Log.Info("core is stopping as asked", logkey.Address, listener.Addr().String())
		}
		status.Shutdown()
		close(s.stopping)
		stopWithin(server, s.config.Grace)
	})
	s.config.Log.Info("core is serving", logkey.Address, listener.Addr().String(),
		logkey.Entries, s.store.Current().Len(), logkey.Contract, string(s.config.Contract), logkey.TLS, !s.config.Plaintext)
	err := server.Serve(gate.Listener{Listener: listener, Door: s.door})
	stopWatching()
	background.Wait()
	s.closeAudit()
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

func (s *Server) build() (*grpc.Server, *health.Server) {
	transport := insecure.NewCredentials()
	if s.certificates != nil {
		transport = tlsTransport{s.certificates.config()}
	}
	server := grpc.NewServer(
		grpc.Creds(gate.Credentials(transport)),
		grpc.InTapHandle(letCall),
		grpc.MaxRecvMsgSize(MaxRequest),
		grpc.MaxSendMsgSize(MaxResponse),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxConcurrentStreams(maxConcurrentCalls),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.ReadBufferSize(0), // TLS has one of its own
		grpc.WriteBufferSize(writeBuffer),
		grpc.HeaderTableSize(0), // which would remember tokens, too
		grpc.StaticStreamWindowSize(window),
		grpc.StaticConnWindowSize(window),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minKeepalive, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: keepaliveAfter, Timeout: keepaliveTimeout,
			MaxConnectionIdle: maxIdle, MaxConnectionAge: maxAge, MaxConnectionAgeGrace: ageGrace,
		}),
		grpc.StatsHandler(calls{s}),
		grpc.UnaryInterceptor(s.logUnary),
		grpc.StreamInterceptor(s.logStream),
	)
	status := health.NewServer()
	healthv1.RegisterHealthServer(server, status)
	if s.config.Contract != Secrets {
		agentv1.RegisterAgentServiceServer(server, &agentService{Server: s})
	}
	if s.config.Contract != Agent {
		secretsv1.RegisterSecretsServiceServer(server, &secretsService{Server: s})
	}
	return server, status
}

// closeAudit writes what is counted of refusals, and does not wait for a log that is stuck: kubelet
// would kill core instead, and every other thing that is to be done at its end.
func (s *Server) closeAudit() {
	ctx, cancel := context.WithTimeout(context.Background(), lastWrite)
	defer cancel()
	if err := s.audit.Close(ctx); err != nil {
		s.config.Log.Error("refusals that were counted are not recorded", logkey.Error, err)
	}
}

func stopWithin(server *grpc.Server, grace time.Duration) {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		server.GracefulStop() // waits for calls also after Stop
	}()
	select {
	case <-stopped:
		return
	case <-time.After(grace):
	}
	server.Stop()
	select {
	case <-stopped:
	case <-time.After(lastWrite): // some call hangs, as in an audit log that takes nothing
	}
}

func isLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
