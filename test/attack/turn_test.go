package attack

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
	"github.com/leoflow/secrets-csi/test/stack"
)

// leastRefresh is what authors may write.
const leastRefresh = "5s"

func refreshed(pod stack.Pod) stack.Pod {
	pod.Attributes["refresh"] = leastRefresh
	return pod
}

// absent answers as the API server does about a Secret that there is not.
func absent(w http.ResponseWriter, _ *http.Request) bool {
	kubetest.Refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
	return true
}

func TestAbsentIDs(t *testing.T) {
	n := newNode(t, options{})
	n.api.Treat(evil, absent)
	row := n.row("24 volumes, each of 1,000 absent optional ids, at the least `refresh`", "Secrets of one namespace", "kubernetes")
	row.least = 20 * time.Second // so that a volume may become too old
	var oldest func() time.Duration
	var began time.Time
	row.run(t, func() {
		oldest = n.ages(t, refreshed(n.pod(t, bank, "live", "kubernetes", shared)))
		began = time.Now()
		n.attack(t, "pods", n.kubelet(n.pods(t, 24, evil, "kubernetes", ids("absent_", 1000), func(_ int, pod *stack.Pod) { refreshed(*pod) })))
	})
	age, busiest := oldest(), n.api.Busiest(began)
	row.note("the API server had %d calls a second at most", busiest)
	row.note("an honest volume of %s was confirmed after %s at most", leastRefresh, short(age))
	assert.LessOrEqual(t, busiest, 50)
	assert.Greater(t, busiest, 20, "the attack is one")
	assert.LessOrEqual(t, age, 7*time.Second)
	row.record(t)
}
