package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
)

func tokenCommand() cli.Command {
	return cli.Command{
		Name:    "token",
		Summary: "Mints a per-task-instance token and prints it.",
		Details: `The token is a JWT signed by HS256, as existing cores mint it. The key comes from a
file or from the environment variable LEOFLOW_JWT_KEY; it has at least 32 bytes.`,
		Examples: `# a key, then a token that lives for an hour
head -c 32 /dev/urandom | base64 > jwt.key
core token --jwt-key-file jwt.key --tenant acme --dag billing --run manual_1 --task load
# for a pod's nodePublishSecretRef
core token --jwt-key-file jwt.key --tenant acme --dag billing | kubectl create secret generic task-token --from-file=token=/dev/stdin`,
		Bind: bindToken,
	}
}

func bindToken(flags *flag.FlagSet) cli.Run {
	var caller auth.Caller
	keyFile := flags.String("jwt-key-file", "", "the `file` with the key that core checks tokens by")
	flags.StringVar(&caller.Tenant, "tenant", "", "the tenant's `id`; needed")
	flags.StringVar(&caller.DAG, "dag", "", "the DAG's `id`")
	flags.StringVar(&caller.Run, "run", "", "the DAG run's `id`")
	flags.StringVar(&caller.Task, "task", "", "the task's `id`")
	flags.IntVar(&caller.Try, "try", 1, "the try's `number`")
	ttl := flags.Duration("ttl", time.Hour, "how long the token is good for")
	longestLife := flags.Duration("max-token-ttl", auth.LongestLife, "how long a token may live, as core was told")
	return func(_ context.Context, streams cli.Streams, _ []string) error {
		if caller.Tenant == "" {
			return cli.Usagef("no tenant; give --tenant")
		}
		key, err := readJWTKey(*keyFile)
		if err != nil {
			return err
		}
		tokens, err := auth.NewTokens(key, *longestLife, time.Now)
		if err != nil {
			return fmt.Errorf("%s: %w", keyOrigin(*keyFile, jwtKeyEnv), err)
		}
		token, err := tokens.Mint(caller, *ttl)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(streams.Out, token.Reveal())
		return err
	}
}
