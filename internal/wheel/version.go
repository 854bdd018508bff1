package wheel

import (
	"regexp"
	"strings"
)

var described = regexp.MustCompile(`^v?(\d+\.\d+\.\d+)(?:-(alpha|beta|rc)\.?(\d+))?(?:-(\d+)-g([0-9a-f]+))?(-dirty)?$`)

// Version is git describe's word as PEP 440 has it: v1.2.3 is 1.2.3, v1.2.3-rc.1 is 1.2.3rc1, and
// three commits after it 1.2.3rc1.post3+g0e1a6ac. What is no version is an early one of none.
func Version(text string) string {
	parts := described.FindStringSubmatch(text)
	if parts == nil {
		return "0.0.0.dev0"
	}
	version := parts[1]
	if parts[2] != "" {
		version += map[string]string{"alpha": "a", "beta": "b", "rc": "rc"}[parts[2]] + parts[3]
	}
	var local []string
	if parts[4] != "" {
		version += ".post" + parts[4]
		local = append(local, "g"+parts[5])
	}
	if parts[6] != "" {
		local = append(local, "dirty")
	}
	if len(local) > 0 {
		version += "+" + strings.Join(local, ".")
	}
	return version
}
