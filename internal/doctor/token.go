package doctor

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/claim"
	"github.com/leoflow/secrets-csi/internal/regular"
)

// readClaims never quotes the token.
func readClaims(path string) (claim.Claims, error) {
	content, err := regular.Read(path, regular.Most)
	if err != nil {
		return claim.Claims{}, err
	}
	found, err := claim.Of(strings.TrimSpace(string(content)))
	if err != nil {
		return claim.Claims{}, fmt.Errorf("%s %w", path, err)
	}
	return found, nil
}

// token looks at the driver's own, which has the audience that the pods' tokens must
// have too.
func token(_ context.Context, node Node) []Finding {
	const name = "token"
	if node.Core.TokenFile == "" {
		return skipped(name, "--core-token-file is not given")
	}
	found, err := readClaims(node.Core.TokenFile)
	if err != nil {
		return failed(name, err.Error(), "project a serviceAccountToken into the driver's pod, with the audience of --core-audience")
	}
	expires := time.Unix(int64(found.Expires), 0).UTC().Format(time.RFC3339)
	switch {
	case !slices.Contains(found.Audience, node.Core.Audience):
		return failed(name, fmt.Sprintf("it is for audience %q, and --core-audience is %q", []string(found.Audience), node.Core.Audience),
			"make the three the same: --core-audience, the audience of the projected token, and that in tokenRequests of the CSIDriver")
	case time.Now().Unix() > int64(found.Expires):
		return failed(name, "it expired at "+expires, "kubelet renews it: read kubelet's log, and compare the clocks of the node and the API server")
	}
	return fine(name, fmt.Sprintf("for audience %q, until %s", node.Core.Audience, expires))
}

// mostSkew is a little more than a token takes from the API server into its file.
const mostSkew = 30 * time.Second

// clock compares when the API server issued the driver's token with when kubelet wrote
// it into the file, which it does at once.
func clock(_ context.Context, node Node) []Finding {
	const name = "clock"
	info, err := os.Stat(node.Core.TokenFile)
	if err != nil {
		return skipped(name, "without the driver's own token there is no other clock to compare with")
	}
	found, err := readClaims(node.Core.TokenFile)
	if err != nil || found.Issued == 0 {
		return skipped(name, "the token does not say when it was issued")
	}
	skew := info.ModTime().Sub(time.Unix(int64(found.Issued), 0)).Round(time.Second)
	if skew.Abs() > mostSkew {
		return failed(name, fmt.Sprintf("this node's is %v off the API server's (ahead if positive)", skew), "set the node's clock by NTP; tokens and certificates are judged by it")
	}
	return fine(name, "agrees with the API server's")
}
