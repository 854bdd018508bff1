package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/source/core"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// fetch prints what core at $ADDRESS gives to the bearer of the token in the file
// named, once that has the text that may follow.
func fetch() {
	call(func(ctx context.Context, client *core.Client, token secret.Text) error {
		return fetchUntil(ctx, client, provider.Identity{Token: token}, strings.Join(os.Args[2:], " "))
	})
}

// watch prints "watching" once core lets the bearer of the token in the file named
// watch.
func watch() {
	call(func(ctx context.Context, client *core.Client, _ secret.Text) error {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		err := client.Watch(ctx, func(provider.Change) {
			fmt.Println("watching")
			stop()
		})
		if errors.Is(err, context.Canceled) {
			return nil // as stopped
		}
		return err
	})
}

// call ends the program, in failure where work fails.
func call(work func(context.Context, *core.Client, secret.Text) error) {
	if err := tryCall(work); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func tryCall(work func(context.Context, *core.Client, secret.Text) error) error {
	content, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	token := secret.New(strings.TrimSpace(string(content)))
	config := core.Config{Address: os.Getenv("ADDRESS"), CAFile: "tls.crt", ServerName: os.Getenv("SERVER")}
	if file := os.Getenv("DRIVER"); file != "" { // which has the driver's own token
		own, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		config.NodeToken = func(context.Context) (secret.Text, error) { return secret.New(strings.TrimSpace(string(own))), nil }
	}
	client, err := core.New(config)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return work(ctx, client, token)
}

func fetchUntil(ctx context.Context, client *core.Client, pod provider.Identity, until string) error {
	for {
		text, err := ask(ctx, client, pod)
		switch {
		case errors.Is(err, provider.ErrUnavailable) && ctx.Err() == nil: // core is still starting
		case err != nil:
			return err
		case strings.Contains(text, until):
			fmt.Print(text)
			return nil
		}
	}
}

func ask(ctx context.Context, client *core.Client, pod provider.Identity) (string, error) {
	all := provider.Selection{All: true}
	result, err := client.Fetch(ctx, pod, provider.Request{Connections: all, Variables: all})
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, e := range result {
		value := e.Text.Reveal()
		if e.State != entry.Delivered {
			continue
		}
		if e.Kind == entry.Connection {
			if value, err = e.Connection.URI(); err != nil {
				return "", err
			}
		}
		fmt.Fprintf(&text, "%s=%s\n", e.ID, value)
	}
	return text.String(), nil
}
