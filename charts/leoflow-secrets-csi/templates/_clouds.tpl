{{/* The clouds in use, comma-separated. */}}
{{- define "leoflow.clouds" -}}
{{- $names := list -}}
{{- range $name, $cloud := .Values.clouds -}}
{{- if $cloud.enabled -}}{{- $names = append $names $name -}}{{- end -}}
{{- end -}}
{{- join "," $names -}}
{{- end -}}

{{/* Not empty where the drivers read service accounts, by whose annotations pods have identities. */}}
{{- define "leoflow.readsAccounts" -}}
{{- with .Values.stores -}}
{{- if or (include "leoflow.clouds" $) .awsSecretsManager.kwargs .awsSSM.kwargs .azureKeyVault.kwargs .gcpSecretManager.kwargs .vault.kwargs -}}yes{{- end -}}
{{- end -}}
{{- end -}}

{{/* Not empty where the drivers ask the Kubernetes API. */}}
{{- define "leoflow.asksKubernetes" -}}
{{- if or (include "leoflow.readsAccounts" .) .Values.kubernetesSecrets.enabled .Values.driver.events .Values.driver.startupTaint -}}yes{{- end -}}
{{- end -}}

{{/* Not empty where pods have tokens for AWS, Azure, Google Cloud. */}}
{{- define "leoflow.usesAWS" -}}
{{- if or .Values.clouds.aws.enabled .Values.stores.awsSecretsManager.kwargs .Values.stores.awsSSM.kwargs -}}yes{{- end -}}
{{- end -}}
{{- define "leoflow.usesAzure" -}}
{{- if or .Values.clouds.azure.enabled .Values.stores.azureKeyVault.kwargs -}}yes{{- end -}}
{{- end -}}
{{- define "leoflow.usesGCP" -}}
{{- if or .Values.clouds.gcp.enabled .Values.stores.gcpSecretManager.kwargs -}}yes{{- end -}}
{{- end -}}

{{/* What a workload identity provider of Google Cloud expects of tokens by default. */}}
{{- define "leoflow.gcpTokenAudience" -}}
{{- $gcp := .Values.clouds.gcp -}}
{{- if $gcp.tokenAudience -}}
{{- $gcp.tokenAudience -}}
{{- else if hasPrefix "identitynamespace:" $gcp.audience -}}
{{- index (splitList ":" $gcp.audience) 1 -}}
{{- else -}}
https:{{ $gcp.audience }}
{{- end -}}
{{- end -}}

{{/* The audiences of the pods' tokens, as a JSON object of a list. */}}
{{- define "leoflow.audiences" -}}
{{- $audiences := list .Values.core.audience -}}
{{- with .Values.clouds -}}
{{- if include "leoflow.usesAWS" $ -}}
{{- $audiences = append $audiences .aws.tokenAudience -}}
{{- if .aws.podIdentity -}}{{- $audiences = append $audiences "pods.eks.amazonaws.com" -}}{{- end -}}
{{- end -}}
{{- if include "leoflow.usesAzure" $ -}}{{- $audiences = append $audiences .azure.tokenAudience -}}{{- end -}}
{{- if include "leoflow.usesGCP" $ -}}{{- $audiences = append $audiences (include "leoflow.gcpTokenAudience" $) -}}{{- end -}}
{{- end -}}
{{- with .Values.stores -}}
{{- if .vault.kwargs -}}{{- $audiences = append $audiences .vault.tokenAudience -}}{{- end -}}
{{- end -}}
{{- if .Values.kubernetesSecrets.enabled -}}{{- $audiences = append $audiences "" -}}{{- end -}}
{{- dict "list" $audiences | toJson -}}
{{- end -}}

{{/* The driver's flags about all this. */}}
{{- define "leoflow.cloudFlags" -}}
{{- with include "leoflow.clouds" . }}
- --clouds={{ . }}
{{- end }}
{{- with .Values.clouds }}
{{- if include "leoflow.usesAWS" $ }}
- --aws-token-audience={{ .aws.tokenAudience }}
{{- if .aws.podIdentity }}
- --aws-pod-identity
{{- end }}
{{- with .aws.region }}
- --aws-region={{ . }}
{{- end }}
{{- end }}
{{- if include "leoflow.usesAzure" $ }}
- --azure-token-audience={{ .azure.tokenAudience }}
{{- with .azure.tenant }}
- --azure-tenant={{ . }}
{{- end }}
{{- end }}
{{- if include "leoflow.usesGCP" $ }}
- --gcp-audience={{ .gcp.audience }}
- --gcp-token-audience={{ include "leoflow.gcpTokenAudience" $ }}
{{- end }}
{{- end }}
{{- with .Values.stores.awsSecretsManager.kwargs }}
- {{ printf "--source-aws-secretsmanager-kwargs=%s" . | quote }}
{{- end }}
{{- with .Values.stores.awsSSM.kwargs }}
- {{ printf "--source-aws-ssm-kwargs=%s" . | quote }}
{{- end }}
{{- with .Values.stores.azureKeyVault.kwargs }}
- {{ printf "--source-azure-keyvault-kwargs=%s" . | quote }}
{{- end }}
{{- with .Values.stores.gcpSecretManager.kwargs }}
- {{ printf "--source-gcp-secretmanager-kwargs=%s" . | quote }}
{{- end }}
{{- with .Values.stores.gcpSecretManager.region }}
- --source-gcp-secretmanager-region={{ . }}
{{- end }}
{{- if .Values.stores.teams }}
- --source-teams
{{- end }}
{{- with .Values.stores.vault }}
{{- if .kwargs }}
- {{ printf "--source-vault-kwargs=%s" .kwargs | quote }}
- --source-vault-audience={{ .tokenAudience }}
{{- if .ca.configMapName }}
- --source-vault-ca=/etc/leoflow/vault/{{ .ca.key }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.kubernetesSecrets.enabled }}
- --kubernetes-secrets
{{- if .Values.kubernetesSecrets.watch }}
- --kubernetes-watch
{{- end }}
{{- with .Values.kubernetesSecrets.kwargs }}
- {{ printf "--source-kubernetes-kwargs=%s" . | quote }}
{{- end }}
{{- with .Values.kubernetesSecrets.connectionName }}
- --kubernetes-connection-name={{ . }}
{{- end }}
{{- with .Values.kubernetesSecrets.variableName }}
- --kubernetes-variable-name={{ . }}
{{- end }}
{{- end }}
{{- end -}}
