{{/* Names and labels of everything in the release. */}}

{{/*
The release's name, with the chart's where it does not tell what this is. A release may have
dots in its name, a Service may not.
*/}}
{{- define "leoflow.name" -}}
{{- $release := .Release.Name -}}
{{- if not (or (contains .Chart.Name $release) (contains $release .Chart.Name)) -}}
{{- $release = printf "%s-%s" $release .Chart.Name -}}
{{- end -}}
{{- $release | replace "." "-" | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "leoflow.driverName" -}}{{ include "leoflow.name" . }}-driver{{- end -}}
{{- define "leoflow.coreName" -}}{{ include "leoflow.name" . }}-core{{- end -}}

{{/* The CSI driver's name is fixed: pods write it. */}}
{{- define "leoflow.csiDriver" -}}secrets.csi.leoflow.io{{- end -}}

{{/*
What selects pods, and all labels that pods have; it must never change. A version among
them would restart every driver for a new chart alone. Takes the root and the component.
*/}}
{{- define "leoflow.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "leoflow.labels" -}}
{{ include "leoflow.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* An image by its name below the repository. */}}
{{- define "leoflow.image" -}}
{{- $image := .root.Values.image -}}
{{- $digest := index $image.digests .name -}}
{{- if $digest -}}
{{- printf "%s/%s@%s" $image.repository .name $digest -}}
{{- else -}}
{{- printf "%s/%s:%s" $image.repository .name (default .root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "leoflow.pullSecrets" -}}
{{- with .Values.image.pullSecrets -}}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end -}}
{{- end -}}
