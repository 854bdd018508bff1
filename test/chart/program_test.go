package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// programs are built from the source beside the chart.
func programs(t *testing.T) (driver, fetcher, core string) {
	t.Helper()
	directory := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", directory, "./cmd/driver", "./cmd/fetcher", "./cmd/core")
	build.Dir = "../.."
	output, err := build.CombinedOutput()
	require.NoError(t, err, string(output))
	return filepath.Join(directory, "driver"), filepath.Join(directory, "fetcher"), filepath.Join(directory, "core")
}

// The chart and the programs change apart; a flag that one of them no longer has would
// show only when its pod does not start.
func TestProgramsKnowTheirFlags(t *testing.T) {
	driverProgram, fetcherProgram, coreProgram := programs(t)
	known := map[string][]string{"driver": flagsOf(t, driverProgram), "fetcher": flagsOf(t, fetcherProgram)}
	core := flagsOf(t, coreProgram, "serve")

	for name, where := range sets {
		files := mustRender(t, where, setValues(t, name))
		containers := find[*appsv1.DaemonSet](t, files, "DaemonSet", "-driver").Spec.Template.Spec.Containers
		require.Len(t, containers, 2)
		for _, container := range containers {
			for _, argument := range container.Args {
				assert.Contains(t, known[container.Name], flagName(argument), name)
			}
		}
		if name == "own-core" {
			continue
		}
		arguments := find[*appsv1.Deployment](t, files, "Deployment", "-core").Spec.Template.Spec.Containers[0].Args
		assert.Equal(t, "serve", arguments[0])
		for _, argument := range arguments[1:] {
			assert.Contains(t, core, flagName(argument), name)
		}
	}
}

// Whoever gave flags of sources to the one program that there was is told before any node is without.
func TestFlagsOfTheFetcherAreRefusedForTheDriver(t *testing.T) {
	driverProgram, fetcherProgram, _ := programs(t)
	own := flagsOf(t, driverProgram)
	extra := func(flags []string) error {
		_, err := render(t, newest, readValues(t, "driver: {extraArgs: ["+strings.Join(flags, ", ")+"]}"))
		return err
	}
	others := slices.DeleteFunc(flagsOf(t, fetcherProgram), func(name string) bool { return slices.Contains(own, name) })
	require.NotEmpty(t, others)
	require.NoError(t, extra(own))
	told := extra(append(own, others...))
	for _, name := range others {
		assert.ErrorContains(t, told, "driver.extraArgs: "+name+" is a flag of the fetcher's")
	}
}

func TestAFetcherBesideADriverFillsNoDirectory(t *testing.T) {
	_, err := render(t, newest, readValues(t, "fetcher: {extraArgs: [--into=/secrets]}"))
	assert.ErrorContains(t, err, "fetcher.extraArgs: --into is for a pod without a driver")
}

var helpFlag = regexp.MustCompile(`(?m)^  (--[a-z-]+)`)

// flagsOf are the flags that the program's help lists.
func flagsOf(t *testing.T, program ...string) []string {
	t.Helper()
	help, err := exec.CommandContext(t.Context(), program[0], append(program[1:], "--help")...).Output()
	require.NoError(t, err)
	var names []string
	for _, match := range helpFlag.FindAllSubmatch(help, -1) {
		names = append(names, string(match[1]))
	}
	return names
}

func flagName(argument string) string {
	name, _, _ := strings.Cut(argument, "=")
	return name
}

// What the chart makes of values has to be what core reads.
func TestCoreReadsItsFiles(t *testing.T) {
	_, _, core := programs(t)
	for _, name := range []string{"trial", "small-install", "openshift"} {
		files := mustRender(t, sets[name], setValues(t, name))
		directory := t.TempDir()
		args := []string{"check"}
		write := func(flag, file, content string) {
			path := filepath.Join(directory, file)
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			args = append(args, flag+"="+path)
		}
		write("--rules", "rules.yaml", find[*corev1.ConfigMap](t, files, "ConfigMap", "-rules").Data["rules.yaml"])
		if name != "small-install" {
			entries := find[*corev1.Secret](t, files, "Secret", "-entries").Data
			write("--connections", "connections.json", string(entries["connections.json"]))
			write("--variables", "variables.json", string(entries["variables.json"]))
		}
		said, err := exec.CommandContext(t.Context(), core, args...).CombinedOutput()
		assert.NoError(t, err, "%s: %s", name, said)
	}
}
