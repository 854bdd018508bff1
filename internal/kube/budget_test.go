package kube

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestOneNamespaceSilencesNoOther has one in trouble without end.
func TestOneNamespaceSilencesNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := newBudget()
		sent := 0
		for range 3600 {
			for range 10 {
				if budget.allow("noisy") {
					sent++
				}
			}
			time.Sleep(time.Second)
		}
		assert.InDelta(t, nodeBurst+namespaceBurst+3600*(2+0.1), sent, 5)
		for range 10 {
			budget.allow("noisy")
		}
		for range namespaceBurst {
			assert.True(t, budget.allow("quiet"))
		}
		assert.False(t, budget.allow("quiet"))
	})
}

func TestNamespacesOfABudgetAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := newBudget()
		for i := range 10 * manyNamespaces {
			budget.allow(strconv.Itoa(i))
			time.Sleep(time.Second)
		}
		assert.LessOrEqual(t, len(budget.namespaces), manyNamespaces)
	})
}
