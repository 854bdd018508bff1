package chart

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/strvals"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Each row is what somebody may write after --set, and what helm answers.
func TestWrongValuesAreRejected(t *testing.T) {
	const ownCore = "core.address=core.example.com:7443,"
	for set, message := range map[string]string{
		"coer.address=core:7443":                                                     "additional properties 'coer' not allowed",
		"core.adress=core:7443":                                                      "at '/core': additional properties 'adress' not allowed",
		"core.address=https://core:7443":                                             `core.address: "https://core:7443" is not host:port; it is a gRPC address without a scheme, such as core.example.com:7443`,
		"core.address=core.example.com":                                              `core.address: "core.example.com" is not host:port`,
		"core.address=core.example.com:99999":                                        `core.address: "core.example.com:99999" is not host:port`,
		"core.address=core.example.com:0":                                            `core.address: "core.example.com:0" is not host:port`,
		"core.ca.secretName=core-ca":                                                 "core.address: empty, so the chart runs the bundled core, and core.ca, core.serverName and core.clientCertificateSecretName have nothing to apply to; give the address or leave them out",
		ownCore + "core.ca.secretName=a,core.ca.configMapName=b":                     "core.ca: give secretName or configMapName, not both",
		ownCore + "core.ca.secretName=Core_CA":                                       "at '/core/ca/secretName': 'Core_CA' does not match pattern",
		"core.audience=":                                                             "at '/core/audience': minLength: got 0, want 1",
		"core.audience=sts.amazonaws.com,clouds.aws.enabled=true":                    "core.audience, clouds, stores: the audience of each must be its own, or one could use at another what pods show it; there are sts.amazonaws.com, sts.amazonaws.com",
		"clouds.gcp.enabled=true":                                                    `clouds.gcp.audience: "" is no workload identity provider`,
		ownCore + "referenceCore.metastore.urlSecretName=db":                         "core.address: given, so the chart runs no bundled core, and referenceCore.metastore, .airflow and .exporter have nothing to apply to",
		"referenceCore.metastore.urlSecretName=db,referenceCore.airflow.release=air": "referenceCore: metastore, airflow and exporter all bring what Airflow has; give one of them",
		"referenceCore.metastore.fernetKeysSecretName=f":                             "referenceCore.metastore.fernetKeysSecretName: needs urlSecretName",
		"referenceCore.exporter.image=air,referenceCore.secretName=s":                "referenceCore.exporter: writes the files that secretName would bring; leave out one",
		"clouds.gpc.enabled=true":                                                    "at '/clouds': additional properties 'gpc' not allowed",
		"clouds.aws.enabled=sometimes":                                               "at '/clouds/aws/enabled': got string, want boolean",
		"kubernetesSecrets.watch=true":                                               "kubernetesSecrets.watch: needs kubernetesSecrets.enabled",
		"kubernetesSecrets.connectionName=conn-{id}":                                 "kubernetesSecrets.connectionName: needs kubernetesSecrets.enabled",
		"kubernetesSecrets.variableName=var":                                         "at '/kubernetesSecrets/variableName': 'var' does not match pattern",
		"kubeletRootDir=var/lib/kubelet":                                             "at '/kubeletRootDir': 'var/lib/kubelet' does not match pattern '^(/",
		"kubeletRootDir=/var/lib/kubelet/":                                           "at '/kubeletRootDir': '/var/lib/kubelet/' does not match pattern",
		"kubeletRootDir=/var/lib/a{b}":                                               "at '/kubeletRootDir': '/var/lib/a{b}' does not match pattern",
		"image.pullPolicy=Sometimes":                                                 "at '/image/pullPolicy': value must be one of 'IfNotPresent', 'Always', 'Never'",
		"image.digests.driver=sha256:abc":                                            "at '/image/digests/driver': 'sha256:abc' does not match pattern",
		"image.repository=example.com/driver:v1":                                     "at '/image/repository': 'example.com/driver:v1' does not match pattern",
		"image.repository=example.com/leoflow/":                                      "at '/image/repository': 'example.com/leoflow/' does not match pattern",
		"image.repository=example.com/Leoflow":                                       "at '/image/repository': 'example.com/Leoflow' does not match pattern",
		"driver.logLevel=loud":                                                       "at '/driver/logLevel': value must be one of 'debug', 'info', 'warn', 'error'",
		"driver.volumeSize=16MB":                                                     "at '/driver/volumeSize': '16MB' does not match pattern '^[1-9][0-9]*(Ki|Mi|Gi)$'",
		"driver.volumeSize=0Mi":                                                      "at '/driver/volumeSize': '0Mi' does not match pattern",
		"driver.resources.limits.memory=64Mi":                                        "driver.resources.limits.memory: 64Mi holds no volume of driver.volumeSize, 16Mi, beside what fetching it takes; raise it to 256Mi for 16Mi, or lower driver.volumeSize",
		"driver.fetchTimeout=0s":                                                     "at '/driver/fetchTimeout': '0s' does not match pattern",
		"driver.pollEvery=500ms":                                                     "at '/driver/pollEvery': '500ms' does not match pattern",
		"driver.updateStrategy.rollingUpdate.maxUnavailable=0%":                      "at '/driver/updateStrategy/rollingUpdate/maxUnavailable': '0%' does not match pattern",
		"driver.updateStrategy.rollingUpdate.maxUnavailable=200%":                    "at '/driver/updateStrategy/rollingUpdate/maxUnavailable': '200%' does not match pattern",
		"driver.pollEvery=30":                                                        "at '/driver/pollEvery': got number, want string",
		"driver.extraArgs={offline-grace=1h}":                                        "at '/driver/extraArgs/0': 'offline-grace=1h' does not match pattern '^--'",
		"driver.extraArgs={--offline-grace=1h}":                                      "driver.extraArgs: --offline-grace is a flag of the fetcher's, and the driver would not start with it; move it to fetcher.extraArgs",
		"driver.updateStrategy.type=Recreate":                                        "at '/driver/updateStrategy/type': value must be one of 'RollingUpdate', 'OnDelete'",
		"driver.updateStrategy.rollingUpdate.maxSurge=1":                             "additional properties 'maxSurge' not allowed",
		`driver.podLabels.app\.kubernetes\.io/name=mine`:                             "driver.podLabels: app.kubernetes.io/name is what the driver's pods are selected by; leave it out",
		"networkPolicy.apiServerPort=70000":                                          "at '/networkPolicy/apiServerPort': maximum: got 70,000, want 65,535",
		"image.pullSecrets={}":                                                       "at '/image/pullSecrets/0': minLength: got 0, want 1",
		"networkPolicy.enabled=yes":                                                  "at '/networkPolicy/enabled': got string, want boolean",
		"referenceCore.replicas=-1":                                                  "at '/referenceCore/replicas': minimum: got -1, want 0",
		"referenceCore.tls.source=letsencrypt":                                       "at '/referenceCore/tls/source': value must be one of 'generated', 'certManager', 'secret'",
		"referenceCore.tls.source=secret":                                            `referenceCore.tls.secretName: needed with source "secret"`,
		"referenceCore.tls.source=certManager":                                       `referenceCore.tls.issuerRef.name: needed with source "certManager"`,
		"referenceCore.tls.secretName=mine":                                          `referenceCore.tls.secretName: is for source "secret", and the source is "generated"`,
		"referenceCore.tls.issuerRef.name=mine":                                      `referenceCore.tls.issuerRef: is for source "certManager", and the source is "generated"`,
		ownCore + "referenceCore.secretName=mine":                                    "core.address: given, so the chart runs no bundled core, and the Secrets and the issuer under referenceCore have nothing to apply to; leave out the address or them",
		"core.audience=a: b":                                                         "at '/core/audience': 'a: b' does not match pattern",
		"referenceCore.rules[0].namespaces={a}":                                      "at '/referenceCore/rules/0'",
		"stores.vault.kwargs=x,core.audience=vault":                                  "core.audience, clouds, stores: the audience of each must be its own",
		"stores.gcpSecretManager.kwargs=x":                                           `clouds.gcp.audience: "" is no workload identity provider`,
		"stores.valt.kwargs=x":                                                       "at '/stores': additional properties 'valt' not allowed",
		"referenceCore.rules[0].tenants={a},referenceCore.rules[0].dags={b},referenceCore.rules[0].variables={c}": "referenceCore.rules[0]: is for task instances, whom core knows by tokens; it needs referenceCore.jwtKeySecretName",
		"referenceCore.connections.warehouse=5": "at '/referenceCore/connections/warehouse': got number, want string or object",
		"test.connections=other":                `test.connections: no rule of referenceCore.rules lets service account secrets/default, which 'helm test' runs as, read "other"; add such a rule, or name in test.connections what one lets it read, "" for nothing`,
		"test.variables=leoflow_trial\\, other": `test.variables: no rule of referenceCore.rules lets service account secrets/default, which 'helm test' runs as, read "other"`,
		"referenceCore.rules[0].namespaces={airflow},referenceCore.rules[0].serviceAccounts={*},referenceCore.rules[0].connections={*}": `test.connections: no rule of referenceCore.rules`,
		"referenceCore.rules[0].namespaces={*},referenceCore.rules[0].serviceAccounts={defaul},referenceCore.rules[0].connections={*}":  `test.connections: no rule of referenceCore.rules`,
		"referenceCore.connections.leoflow_trial=null": `test.connections: "leoflow_trial" is not in referenceCore.connections; name one that is`,
		"referenceCore.teams[0].name=a,referenceCore.teams[0].namespaces={a},referenceCore.teams[1].name=a,referenceCore.teams[1].namespaces={b}": `referenceCore.teams[1].name: two teams are called "a"; rename one`,
		"referenceCore.teams[0].name=admin,referenceCore.teams[0].namespaces={a}":                                                                 `referenceCore.teams[0].name: "admin" is what the admin's own file is called`,
		"referenceCore.teams[0].name=a":                                    "referenceCore.teams[0]: has nobody; give namespaces, tenants or both",
		"referenceCore.teams[0].name=a,referenceCore.teams[0].tenants={a}": "referenceCore.teams[0].tenants: are of task instances",
		"hooks.rolout=false":                                               "at '/hooks': additional properties 'rolout' not allowed",
	} {
		t.Run(set, func(t *testing.T) {
			values := map[string]any{}
			assert.NoError(t, strvals.ParseInto(set, values))
			_, err := render(t, newest, values)
			assert.ErrorContains(t, err, message)
		})
	}
}

// A section whose lines are all commented out is null, and takes the defaults with it.
func TestEmptySectionsAreRejected(t *testing.T) {
	for text, message := range map[string]string{
		"driver:":                      "at '': missing property 'driver'",
		"core: {ca: null}":             "at '/core': missing property 'ca'",
		"core: {audience: null}":       "at '/core': missing property 'audience'",
		"clouds: {gcp: null}":          "at '/clouds': missing property 'gcp'",
		"image: {digests: null}":       "at '/image': missing property 'digests'",
		"driver: {logLevel: null}":     "at '/driver': missing property 'logLevel'",
		"referenceCore: {tls: null}":   "at '/referenceCore': missing property 'tls'",
		"referenceCore: {rules: null}": "at '/referenceCore': missing property 'rules'",
	} {
		_, err := render(t, newest, readValues(t, text))
		assert.ErrorContains(t, err, message, text)
	}
}

// What is a list or a map in the defaults is taken away by null.
func TestNullTakesAway(t *testing.T) {
	files := mustRender(t, newest, readValues(t, `
core: {address: null, serverName: null}
driver: {podLabels: null, podAnnotations: null, tolerations: null, priorityClassName: null, resources: null, updateStrategy: null}
image: {tag: null, pullSecrets: null}
monitoring: {labels: null}
networkPolicy: {driverEgress: null}
referenceCore: {connections: null, variables: null, resources: null}
test: {connections: null, variables: null}
`))
	entries := find[*corev1.Secret](t, files, "Secret", "-entries").Data
	assert.Equal(t, "{}", string(entries["connections.json"]), "which core reads as none")
	assert.Equal(t, "{}", string(entries["variables.json"]))
	assert.Empty(t, find[*appsv1.DaemonSet](t, files, "DaemonSet", "-driver").Spec.Template.Spec.Tolerations)
}

// YAML would read such names as numbers, and Kubernetes refuse them.
func TestNamesAreText(t *testing.T) {
	files := mustRender(t, newest, readValues(t, `
core: {address: "core.example.com:7443", audience: "7", clientCertificateSecretName: "1", ca: {secretName: "2", key: "3"}}
driver: {priorityClassName: "4"}
image: {pullSecrets: ["5"]}
`))
	spec := find[*appsv1.DaemonSet](t, files, "DaemonSet", "-driver").Spec.Template.Spec
	assert.Equal(t, "4", spec.PriorityClassName)
	assert.Equal(t, "5", spec.ImagePullSecrets[0].Name)
	files = mustRender(t, newest, readValues(t, `
core: {audience: "7"}
referenceCore: {secretName: "1", sealKeySecretName: "2", jwtKeySecretName: "3", tls: {source: secret, secretName: "4"}}
`))
	find[*appsv1.DaemonSet](t, files, "DaemonSet", "-driver")
	find[*appsv1.Deployment](t, files, "Deployment", "-core")
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	_, err := render(t, newest, readValues(t, `{core: {address: core}, kubernetesSecrets: {watch: true}}`))
	assert.ErrorContains(t, err, "core.address:")
	assert.ErrorContains(t, err, "kubernetesSecrets.watch:")
}

func TestOldKubernetesIsRefused(t *testing.T) {
	supported := load(t).Metadata.KubeVersion
	assert.False(t, chartutil.IsCompatibleRange(supported, "v1.26.15"))
	assert.True(t, chartutil.IsCompatibleRange(supported, "v1.27.0"))
	assert.True(t, chartutil.IsCompatibleRange(supported, "v1.33.5-gke.1080000"))
}

// What airflow.cfg has for a login of Airflow's own would be a flag of the driver's, for all to see who may see its pods.
func TestASecretAmongKwargsIsRejected(t *testing.T) {
	const needle = "n33dle"
	for text, message := range map[string]string{
		`stores: {vault: {kwargs: '{"auth_type": "approle", "role_id": "r", "secret_id": "n33dle"}'}}`: `stores.vault.kwargs: "secret_id" is a secret`,
		`stores: {vault: {kwargs: '{"token": "n33dle"}'}}`:                                             `stores.vault.kwargs: "token" is a secret`,
		`stores: {awsSecretsManager: {kwargs: '{"aws_secret_access_key": "n33dle"}'}}`:                 `stores.awsSecretsManager.kwargs: "aws_secret_access_key" is a secret`,
		`stores: {awsSSM: {kwargs: '{"aws_session_token": "n33dle"}'}}`:                                `stores.awsSSM.kwargs: "aws_session_token" is a secret`,
		`stores: {azureKeyVault: {kwargs: '{"client_secret": "n33dle"}'}}`:                             `stores.azureKeyVault.kwargs: "client_secret" is a secret`,
		`stores: {gcpSecretManager: {kwargs: '{"gcp_keyfile_dict": {"private_key": "n33dle"}}'}}`:      `stores.gcpSecretManager.kwargs: "gcp_keyfile_dict" is a secret`,
		`stores: {vault: {kwargs: "{'token': 'n33dle'}"}}`:                                             "stores.vault.kwargs: is no JSON object; give backend_kwargs as airflow.cfg has them",
		`stores: {vault: {kwargs: '["n33dle"]'}}`:                                                      "stores.vault.kwargs: is no JSON object",
		`{kubernetesSecrets: {enabled: true, kwargs: n33dle}}`:                                         "kubernetesSecrets.kwargs: is no JSON object",
	} {
		_, err := render(t, newest, readValues(t, text))
		require.ErrorContains(t, err, message, text)
		assert.NotContains(t, err.Error(), needle)
	}
	_, err := render(t, newest, readValues(t, `stores: {vault: {kwargs: '{"url": "https://v", "token": null, "secret_id": ""}'}}`))
	require.NoError(t, err, "what is switched off is no secret")
}
