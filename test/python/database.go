package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/leoflow/secrets-csi/test/venv"
)

func (s *servers) gcs(ctx context.Context) error {
	script := filepath.Join(s.judge.root, "test", "python", "python", "gcs.py")
	return s.startAs(ctx, asRoot(), "GCS", "python3", script, "@PORT")
}

func (s *servers) moto(ctx context.Context) error {
	python := interpreters(ctx)
	recipe := venv.Recipe{Name: "moto", Python: python[pick(python, "3.12", "3.11", "3.13", "3.10")], Before: before, Packages: []string{"moto[server]==5.2.5"}}
	dir, err := recipe.Make(ctx, s.judge.cache, func(line string) { say("%s", line) })
	if err != nil {
		return err
	}
	return s.startAs(ctx, asRoot(), "MOTO", filepath.Join(dir, "bin", "moto_server"), "-H", "127.0.0.1", "-p", "@PORT")
}

const azuriteVersion = "3.35.0"

func (s *servers) azure(ctx context.Context) error {
	dir := filepath.Join(s.judge.cache, "azurite-"+azuriteVersion)
	program := filepath.Join(dir, "node_modules", ".bin", "azurite-blob")
	if _, err := os.Stat(program); errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := venv.Quiet(ctx, "npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--omit", "dev", "azurite@"+azuriteVersion); err != nil {
			return err
		}
	}
	return s.startAs(ctx, asRoot(), "AZURITE", program, "--blobHost", "127.0.0.1", "--blobPort", "@PORT", "--inMemoryPersistence", "--skipApiVersionCheck", "--silent")
}

func (s *servers) redis(ctx context.Context) error {
	return s.start(ctx, "REDIS", "redis-server", "--bind", "127.0.0.1", "--port", "@PORT", "--requirepass", password, "--save", "", "--appendonly", "no")
}

// home makes a directory of a server's own.
func (s *servers) home(name string) (string, error) {
	dir := filepath.Join(s.judge.dir, name)
	return dir, errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, nobody, nobody))
}

// asked runs a server's own tool as nobody, and again while the server is not ready for it.
func (s *servers) asked(ctx context.Context, program string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		command := exec.CommandContext(ctx, program, args...)
		command.SysProcAttr, command.Dir, command.Env = asNobody(), s.judge.dir, append(os.Environ(), "HOME="+s.judge.dir)
		said, err := command.CombinedOutput()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("running %s: %w\n%s", filepath.Base(program), err, said)
		}
	}
}

// postgresTool is where Debian has what is not on its path, of whichever version.
func postgresTool(name string) string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	return append(found, name)[0]
}

func (s *servers) postgres(ctx context.Context) error {
	dir, err := s.home("postgres")
	if err != nil {
		return err
	}
	if err := s.asked(ctx, postgresTool("initdb"), "-D", filepath.Join(dir, "data"), "-U", "postgres", "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync"); err != nil {
		return err
	}
	err = s.start(ctx, "POSTGRES", postgresTool("postgres"), "-D", filepath.Join(dir, "data"), "-k", dir, "-c", "listen_addresses=127.0.0.1", "-p", "@PORT", "-c", "fsync=off")
	if err != nil {
		return err
	}
	return s.askedEach(ctx, []string{postgresTool("psql"), "-h", dir, "-p", s.port("POSTGRES"), "-U", "postgres", "-c"},
		"CREATE ROLE etl LOGIN PASSWORD '"+password+"'", "CREATE DATABASE etl OWNER etl")
}

func (s *servers) mariadb(ctx context.Context) error {
	dir, err := s.home("mariadb")
	if err != nil {
		return err
	}
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "socket")
	if err := s.asked(ctx, "mariadb-install-db", "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db"); err != nil {
		return err
	}
	err = s.start(ctx, "MARIADB", "mariadbd", "--no-defaults", "--datadir="+data, "--socket="+socket, "--bind-address=127.0.0.1", "--port=@PORT", "--pid-file="+filepath.Join(dir, "pid"))
	if err != nil {
		return err
	}
	return s.askedEach(ctx, []string{"mariadb", "--no-defaults", "--socket=" + socket, "-u", "root", "-e"},
		"CREATE DATABASE etl", "CREATE USER etl@'127.0.0.1' IDENTIFIED BY '"+password+"'", "GRANT ALL ON etl.* TO etl@'127.0.0.1'")
}

func (s *servers) askedEach(ctx context.Context, line []string, statements ...string) error {
	for _, statement := range statements {
		if err := s.asked(ctx, line[0], append(line[1:len(line):len(line)], statement)...); err != nil {
			return err
		}
	}
	return nil
}
