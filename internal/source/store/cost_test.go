package store

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testgolden"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

const (
	costDocument = "../../../docs/stores.md"
	costBegin    = "<!-- calls: written by 'make generate' -->\n"
	costEnd      = "<!-- end of calls -->"
	// podsOfNode is what kubelet runs by default, and entriesOfPod what each asks for.
	podsOfNode, entriesOfPod = 110, 10
)

// callsOfPoll counts the calls of one look at all pods of a node, who have one service account.
func callsOfPoll(t *testing.T, batch int) int {
	held := newFakeStore(batch)
	held.hold(numbers(entriesOfPod)...)
	pods := make([]provider.Identity, podsOfNode)
	for i := range pods {
		pods[i] = pod("ns", "a")
	}
	request := providertest.Names(nil, numbers(entriesOfPod))
	request.MaxBytes = 64 << 10 // which delivery reserves at first
	for _, outcome := range serve(t, held).FetchGroup(t.Context(), pods, request) {
		require.NoError(t, outcome.Err)
	}
	return len(held.counted())
}

func TestTheTableOfCallsIsDocumented(t *testing.T) {
	table := "| store | price of 10,000 calls | calls of a node and look | 100 pods | 1,000 pods | 10,000 pods |\n|---|---|---|---|---|---|\n"
	looks := float64(30*24*time.Hour) / float64(pollEvery)
	for _, row := range []struct {
		name  string
		batch int
		price float64
	}{
		{"AWS Secrets Manager, batches allowed", 20, 0.05}, {"AWS Secrets Manager, as a policy for Airflow has it", 1, 0.05},
		{"AWS Parameter Store, batches allowed", 10, 0}, {"Azure Key Vault", 1, 0.03}, {"Google Cloud Secret Manager", 1, 0.03}, {"Vault", 1, 0},
	} {
		calls := callsOfPoll(t, row.batch)
		table += fmt.Sprintf("| %s | $%.2f | %d |", row.name, row.price, calls)
		for _, pods := range []int{100, 1000, 10_000} {
			nodes := (pods + podsOfNode - 1) / podsOfNode
			each := looks * float64(calls*nodes)
			table += fmt.Sprintf(" %.1f million, $%.0f |", each/1e6, each/10_000*row.price)
		}
		table += "\n"
	}
	text, err := os.ReadFile(costDocument)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(text), costBegin)
	require.True(t, found)
	_, after, found := strings.Cut(rest, costEnd)
	require.True(t, found)
	testgolden.File(t, costDocument, before+costBegin+table+costEnd+after, "make generate")
}
