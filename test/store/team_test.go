//go:build store

package store

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/aws"
	"github.com/leoflow/secrets-csi/internal/source/azure"
	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/source/gcp"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/internal/source/vault"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// teamIDs are asked for by pods of each team: whatever may be thought of to reach another team's. Which of them there
// are, teamNames says.
func teamIDs() (ids []string) {
	for _, before := range []string{"", "green--", "blue--", "blue_two--", "green/", "blue/", "green_", "_green___", "Green--"} {
		for _, id := range []string{"both", "shared", "own", "absent", "a_b", "a__own", "x"} {
			ids = append(ids, before+id)
		}
	}
	return ids
}

// teamNames are ids of everybody's secrets, and of teams' own.
var teamNames = []string{"both", "shared", "a_b", "blue--both", "blue--own", "blue--a_b", "green--own", "green--a__own", "blue_two--both"}

var teams = []string{"", "blue", "green", "blue_two"}

// teamPlace is a store that keeps the same values for all.
type teamPlace struct {
	class  string
	kwargs map[string]any
	held   map[string]string
	open   func() (store.Store, error)
	pod    func(team string) provider.Identity
}

func TestTeamsAreKeptApart(t *testing.T) {
	var questions []question
	for _, place := range []teamPlace{teamsAtSecretsManager(t), teamsAtParameterStore(t), teamsAtGoogle(t), teamsAtAzure(t), teamsAtVault(t, true), teamsAtVault(t, false)} {
		for _, team := range teams {
			made, err := place.open()
			require.NoError(t, err)
			served := store.NewApart("store", made, secretmanager.Config{Annotations: func(context.Context, string, string) (map[string]string, error) {
				annotations := map[string]string{aws.RoleAnnotation: roleOfPods, azure.ClientAnnotation: "client"}
				if team != "" {
					annotations[store.TeamAnnotation] = team
				}
				return annotations, nil
			}})
			t.Cleanup(func() { require.NoError(t, served.Close()) })
			questions = append(questions, question{Class: place.class, Kwargs: place.kwargs, Held: place.held, Team: &team, Variables: teamIDs(), Connections: []string{},
				name: place.class + " for team " + team, ours: served, pod: place.pod(team)})
		}
	}
	judgeTeams(t, questions, nil)
}

func ofAudience(tokens *cloudtest.Tokens, audience string) func(string) provider.Identity {
	return func(team string) provider.Identity { return tokens.Pod("team", "etl"+team, audience) }
}

func teamsAtSecretsManager(t *testing.T) teamPlace {
	emulator := startMoto(t)
	for _, name := range teamNames {
		emulator.call(t, "secretsmanager", "secretsmanager.CreateSecret", map[string]any{"Name": "airflow/variables/" + name, "SecretString": name, "ClientRequestToken": "12345678-1234-1234-1234-123456789012"})
	}
	return teamPlace{
		class: "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend", kwargs: emulator.theirs(nil),
		open: func() (store.Store, error) { return aws.NewStore(emulator.config(), "{}") }, pod: ofAudience(cloudtest.NewTokens(), cloudtest.AWSTokenAudience),
	}
}

func teamsAtParameterStore(t *testing.T) teamPlace {
	emulator := startMoto(t)
	for _, name := range teamNames {
		emulator.call(t, "ssm", "AmazonSSM.PutParameter", map[string]any{"Name": "/" + name, "Value": name, "Type": "String"})
	}
	kwargs := map[string]any{"variables_prefix": ""}
	return teamPlace{
		class: "airflow.providers.amazon.aws.secrets.systems_manager.SystemsManagerParameterStoreBackend", kwargs: emulator.theirs(kwargs),
		open: func() (store.Store, error) {
			return aws.NewParameterStore(emulator.config(), textOf(t, kwargs, map[string]any{"endpoint_url": emulator.front.URL}))
		}, pod: ofAudience(cloudtest.NewTokens(), cloudtest.AWSTokenAudience),
	}
}

func teamsAtGoogle(t *testing.T) teamPlace {
	server := cloudtest.StartGCP(t, cloudtest.NewTokens())
	held, theirs := server.HoldSecrets(), map[string]string{}
	for _, name := range teamNames {
		held.Set("projects/project/secrets/airflow-variables-"+name, name)
		theirs["airflow-variables-"+name] = name
	}
	kwargs := map[string]any{"project_id": "project"}
	return teamPlace{
		class: "airflow.providers.google.cloud.secrets.secret_manager.CloudSecretManagerBackend", kwargs: kwargs, held: theirs,
		open: func() (store.Store, error) {
			return gcp.NewStore(gcp.Config{Audience: cloudtest.GCPAudience, Endpoint: server.Address, RegionalEndpoint: server.RegionalAddress,
				STSURL: server.URL() + "/token", IAMURL: server.URL(), Roots: server.Roots(), HTTP: secretmanager.NewHTTPClient(server.Roots(), 0)}, textOf(t, kwargs))
		}, pod: ofAudience(server.Tokens, cloudtest.GCPTokenAudience),
	}
}

func teamsAtAzure(t *testing.T) teamPlace {
	server := cloudtest.StartAzure(t, cloudtest.NewTokens())
	held, theirs := server.HoldSecrets(), map[string]string{}
	for _, name := range teamNames {
		normal := strings.ReplaceAll("airflow-variables-"+name, "_", "-")
		held.Set(normal, name)
		theirs[normal] = name
	}
	kwargs := map[string]any{"vault_url": "https://v.vault.azure.net"}
	return teamPlace{
		class: "airflow.providers.microsoft.azure.secrets.key_vault.AzureKeyVaultBackend", kwargs: kwargs, held: theirs,
		open: func() (store.Store, error) {
			return azure.NewStore(azure.Config{Tenant: cloudtest.AzureTenant, AuthorityHost: server.URL(), VaultEndpoint: server.URL(), HTTP: secretmanager.NewHTTPClient(server.Roots(), 0)}, textOf(t, kwargs))
		}, pod: ofAudience(server.Tokens, cloudtest.AzureTokenAudience),
	}
}

func teamsAtVault(t *testing.T, ofTeams bool) teamPlace {
	bao := cloudtest.StartBao(t)
	bao.Policy("all", `path "secret/*" { capabilities = ["read"] }`)
	bao.Role("all", "all", map[string]any{"bound_claims_type": "glob"}, "team:*")
	for _, name := range append(teamNames, "green/own") {
		bao.Put("variables/"+strings.ReplaceAll(name, "--", "/"), map[string]any{"value": name})
	}
	token := bao.Do("POST", "auth/token/create", map[string]any{"policies": []string{"all"}})["auth"].(map[string]any)["client_token"]
	kwargs := map[string]any{"use_team_secrets_path": ofTeams}
	theirs := map[string]any{"url": bao.Plain(), "auth_type": "token", "token": token}
	maps.Copy(theirs, kwargs)
	return teamPlace{
		class: vaultClass, kwargs: theirs,
		open: func() (store.Store, error) {
			return vault.New(vault.Config{Kwargs: bao.Kwargs("all", kwargs), HTTP: secretmanager.NewHTTPClient(bao.Roots(), 0)})
		},
		pod: func(team string) provider.Identity { return bao.Pod("team", "etl"+team) },
	}
}

func textOf(t *testing.T, tables ...map[string]any) string {
	t.Helper()
	all := map[string]any{}
	for _, table := range tables {
		maps.Copy(all, table)
	}
	text, err := json.Marshal(all)
	require.NoError(t, err)
	return string(text)
}
