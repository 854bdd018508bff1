package console

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const page = "# Page\n\n" +
	"```yaml\n# task.yaml\nkind: Pod\n```\n\n" +
	"```yaml\nkind: Pod # not a file\n```\n\n" +
	"## First\n\n" +
	"- in a list:\n\n  ```console\n  $ one \\\n      --more\n  says this\n\n  and that\n  $ two <<END\n  $ not a command\n  END\n  ```\n\n" +
	"## Second\n\n```console\n$ three   # a comment\n```\n"

func TestParse(t *testing.T) {
	document, err := Parse("page.md", page)
	require.NoError(t, err)
	assert.Equal(t, []Step{
		{At: "page.md:4", File: "task.yaml", Content: "# task.yaml\nkind: Pod\n"},
		{At: "page.md:17", Command: "one \\\n    --more", Output: []string{"says this", "", "and that"}},
		{At: "page.md:22", Command: "two <<END\n$ not a command\nEND"},
		{At: "page.md:30", Command: "three   # a comment"},
	}, document.Steps)
}

// TestParseNamesTheLine has one mistake in each document.
func TestParseNamesTheLine(t *testing.T) {
	for name, row := range map[string]struct{ text, want string }{
		"another kind of block":   {"```sh\nls\n```\n", "page.md:1: a block of the kind \"sh\": write ```console, and \"$ \" before each command"},
		"a command among output":  {"```text\nls:\n$ ls\n```\n", "page.md:3: a command in a block of the kind \"text\": write ```console"},
		"output before a command": {"\n```console\nls\n```\n", "page.md:3: this block begins with output: write \"$ \" before a command, or another kind of block"},
		"a command without end":   {"```console\n$ ls \\\n```\n", "page.md:1: the last command of this block does not end"},
		"a document without end":  {"```console\n$ cat <<END\nmore\n```\n", "page.md:1: the last command of this block does not end"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("page.md", row.text)
			assert.EqualError(t, err, row.want)
		})
	}
}

func TestUsesLooksForWords(t *testing.T) {
	for command, uses := range map[string]bool{
		"kubectl get pods": true, "NAME=x kubectl get pods": true, `token="$(kubectl create token x)"`: true,
		"core seal | kubectl apply -f -": true, "kubectl": true, "ls kubectl-plugin": false, "./kubectl version": false, "mykubectl get": false,
	} {
		assert.Equal(t, uses, Document{Steps: []Step{{Command: command}}}.Uses("kubectl", "helm"), command)
	}
}
