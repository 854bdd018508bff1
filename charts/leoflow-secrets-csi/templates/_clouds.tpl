{{/* The clouds in use, comma-separated. */}}
{{- define "leoflow.clouds" -}}
{{- $names := list -}}
{{- range $name, $cloud := .Values.clouds -}}
{{- if $cloud.enabled -}}{{- $names = append $names $name -}}{{- end -}}
{{- end -}}
{{- join "," $names -}}
{{- end -}}

{{/* Not empty where the drivers ask the Kubernetes API. */}}
{{- define "leoflow.asksKubernetes" -}}
{{- if or (include "leoflow.clouds" .) .Values.kubernetesSecrets.enabled .Values.driver.events -}}yes{{- end -}}
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
{{- if .aws.enabled -}}{{- $audiences = append $audiences .aws.tokenAudience -}}{{- end -}}
{{- if .azure.enabled -}}{{- $audiences = append $audiences .azure.tokenAudience -}}{{- end -}}
{{- if .gcp.enabled -}}{{- $audiences = append $audiences (include "leoflow.gcpTokenAudience" $) -}}{{- end -}}
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
{{- if .aws.enabled }}
- --aws-token-audience={{ .aws.tokenAudience }}
{{- with .aws.region }}
- --aws-region={{ . }}
{{- end }}
{{- end }}
{{- if .azure.enabled }}
- --azure-token-audience={{ .azure.tokenAudience }}
{{- with .azure.tenant }}
- --azure-tenant={{ . }}
{{- end }}
{{- end }}
{{- if .gcp.enabled }}
- --gcp-audience={{ .gcp.audience }}
- --gcp-token-audience={{ include "leoflow.gcpTokenAudience" $ }}
{{- end }}
{{- end }}
{{- if .Values.kubernetesSecrets.enabled }}
- --kubernetes-secrets
{{- if .Values.kubernetesSecrets.watch }}
- --kubernetes-watch
{{- end }}
{{- end }}
{{- end -}}
