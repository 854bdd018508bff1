package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/leoflow/secrets-csi/internal/testport"
	"github.com/leoflow/secrets-csi/internal/testpostgres"
)

// nobody runs the servers: PostgreSQL refuses root.
const nobody = 65534

// password is of every database. What it begins with is searched for in all that is printed.
const password = "n33dle@:/p"

// servers are what hooks work at, by the variable that has their address.
type servers struct {
	judge     *judge
	addresses map[string]string
	// azurite is the key of its storage account.
	azurite    string
	running    []*exec.Cmd
	clouds     *clouds
	postgresql *testpostgres.Server
}

func (j *judge) startServers(ctx context.Context) (s *servers, err error) {
	// The needle, and then bytes that make the base64 of it a key.
	secret := append([]byte("n33dle-of-azure-"), make([]byte, 48)...)
	if _, err := rand.Read(secret[16:]); err != nil {
		return nil, err
	}
	s = &servers{judge: j, addresses: map[string]string{}, azurite: base64.StdEncoding.EncodeToString(secret)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	for _, start := range []func(context.Context) error{s.gcs, s.moto, s.azure, s.redis, s.postgres, s.mariadb} {
		if err := start(ctx); err != nil {
			return s, err
		}
	}
	return s, s.startClouds()
}

// start runs a server as nobody, and returns once it answers at the port that is in its arguments as @PORT.
func (s *servers) start(ctx context.Context, name, program string, args ...string) error {
	return s.startAs(ctx, asNobody(), name, program, args...)
}

func (s *servers) startAs(ctx context.Context, who *syscall.SysProcAttr, name, program string, args ...string) error {
	address, err := testport.Free()
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(address)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "@PORT", port)
	}
	log, err := os.Create(filepath.Join(s.judge.dir, name+".log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	command := exec.CommandContext(ctx, program, args...)
	command.Env = append(os.Environ(), "HOME="+s.judge.dir, "AZURITE_ACCOUNTS=devstoreaccount1:"+s.azurite)
	command.Dir, command.Stdout, command.Stderr, command.SysProcAttr = s.judge.dir, log, log, who
	if err := command.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	s.running = append(s.running, command)
	s.addresses[name] = address
	return s.answers(ctx, name, address)
}

// asRoot is for what lies in a cache that may be root's alone.
func asRoot() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

func asNobody() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

func (s *servers) answers(ctx context.Context, name, address string) error {
	return until(ctx, func(ctx context.Context) error {
		connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return connection.Close()
		}
		said, _ := os.ReadFile(filepath.Join(s.judge.dir, name+".log"))
		return fmt.Errorf("%s does not answer: %w\n%s", name, err, said)
	})
}

// until does something again, for a minute, while it fails.
func until(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := do(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

func (s *servers) close() error {
	var faults []error
	for _, each := range s.running {
		faults = append(faults, each.Process.Kill())
		_ = each.Wait()
	}
	s.postgresql.Stop()
	if s.clouds != nil {
		faults = append(faults, s.clouds.close())
	}
	return errors.Join(faults...)
}
