package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/leoflow/secrets-csi/internal/testpostgres"
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

// asked runs a server's own tool as nobody, and again while the server is not ready for it.
func (s *servers) asked(ctx context.Context, program string, args ...string) error {
	return until(ctx, func(ctx context.Context) error {
		command := exec.CommandContext(ctx, program, args...)
		command.SysProcAttr, command.Dir, command.Env = asNobody(), s.judge.dir, append(os.Environ(), "HOME="+s.judge.dir)
		said, err := command.CombinedOutput()
		if err != nil {
			return fmt.Errorf("running %s: %w\n%s", filepath.Base(program), err, said)
		}
		return nil
	})
}

func (s *servers) postgres(ctx context.Context) (err error) {
	if s.postgresql, err = testpostgres.Start(ctx, s.judge.dir); err != nil {
		return err
	}
	s.addresses["POSTGRES"] = s.postgresql.Address
	_, err = s.postgresql.Query(ctx, "postgres", "CREATE ROLE etl LOGIN PASSWORD '"+password+"'; CREATE DATABASE etl OWNER etl")
	return err
}

func (s *servers) mariadb(ctx context.Context) error {
	dir := filepath.Join(s.judge.dir, "mariadb")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, nobody, nobody)); err != nil {
		return err
	}
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "socket")
	if err := s.asked(ctx, "mariadb-install-db", "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db"); err != nil {
		return err
	}
	err := s.start(ctx, "MARIADB", "mariadbd", "--no-defaults", "--datadir="+data, "--socket="+socket, "--bind-address=127.0.0.1", "--port=@PORT", "--pid-file="+filepath.Join(dir, "pid"))
	if err != nil {
		return err
	}
	return s.asked(ctx, "mariadb", "--no-defaults", "--socket="+socket, "-u", "root", "-e",
		"CREATE DATABASE etl; CREATE USER etl@'127.0.0.1' IDENTIFIED BY '"+password+"'; GRANT ALL ON etl.* TO etl@'127.0.0.1'")
}
