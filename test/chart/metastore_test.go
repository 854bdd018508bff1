package chart

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Each way to what Airflow has brings core its flags and the files that they name.
func TestAirflowsDatabase(t *testing.T) {
	flags := []string{"--airflow-db=/etc/leoflow/airflow/url", "--airflow-fernet-keys=/etc/leoflow/airflow/fernet-keys"}
	for values, want := range map[string]string{
		`{referenceCore: {metastore: {urlSecretName: db, fernetKeysSecretName: fernet}}}`: "db/url=url fernet/keys=fernet-keys",
		`{referenceCore: {airflow: {release: air}}}`:                                      "air-metadata/connection=url air-fernet-key/fernet-key=fernet-keys",
	} {
		files := mustRender(t, newest, readValues(t, values))
		core := find[*appsv1.Deployment](t, files, "Deployment", "-core").Spec.Template.Spec
		assert.Subset(t, core.Containers[0].Args, flags)
		assert.Contains(t, core.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "airflow", MountPath: "/etc/leoflow/airflow", ReadOnly: true})
		var found []string
		for _, volume := range core.Volumes {
			if volume.Name == "airflow" {
				for _, source := range volume.Projected.Sources {
					found = append(found, source.Secret.Name+"/"+source.Secret.Items[0].Key+"="+source.Secret.Items[0].Path)
				}
			}
		}
		assert.Equal(t, want, strings.Join(found, " "))
	}
	files := mustRender(t, newest, readValues(t, `{referenceCore: {metastore: {urlSecretName: db}}}`))
	args := find[*appsv1.Deployment](t, files, "Deployment", "-core").Spec.Template.Spec.Containers[0].Args
	assert.NotContains(t, args, flags[1], "an Airflow without keys encrypts nothing")
}

// The owner's role is warned of, where it is used and nowhere else.
func TestTheOwnersRoleIsWarnedOf(t *testing.T) {
	for values, warned := range map[string]bool{
		`{referenceCore: {airflow: {release: air}}}`: true, `{referenceCore: {metastore: {urlSecretName: db}}}`: false, `{referenceCore: {exporter: {image: air}}}`: false, `{}`: false,
	} {
		notes := mustRender(t, newest, readValues(t, values))["leoflow-secrets-csi/templates/NOTES.txt"]
		assert.Equal(t, warned, strings.Contains(notes, "WARNING: it reads Airflow's database by the Secrets of release air, whose role owns the"), values)
		assert.Equal(t, values == "{}", strings.Contains(notes, "Its entries are those of your values"), values)
	}
}

// Core reads the folder that the exporter writes, and does not start before.
func TestTheExporterWritesCoresFiles(t *testing.T) {
	files := mustRender(t, newest, readValues(t, `{referenceCore: {exporter: {image: "air:1", envFrom: [{secretRef: {name: air}}]}}}`))
	core := find[*appsv1.Deployment](t, files, "Deployment", "-core").Spec.Template.Spec
	require.Len(t, core.InitContainers, 1)
	exporter := core.InitContainers[0]
	assert.Equal(t, corev1.ContainerRestartPolicyAlways, *exporter.RestartPolicy)
	assert.NotNil(t, exporter.StartupProbe)
	assert.Equal(t, "air", exporter.EnvFrom[0].SecretRef.Name)
	deployment, err := os.ReadFile(directory + "/templates/core/deployment.yaml")
	require.NoError(t, err)
	_, after, _ := strings.Cut(string(deployment), "initContainers:\n")
	written, _, _ := strings.Cut(after, "{{- end }}")
	assert.LessOrEqual(t, strings.Count(written, "\n"), 20, "lines of the exporter")
	for _, volume := range core.Volumes {
		if volume.Name == exporter.VolumeMounts[0].Name {
			assert.NotNil(t, volume.EmptyDir)
			assert.Equal(t, corev1.StorageMediumMemory, volume.EmptyDir.Medium)
		}
	}
}
