{{/* Core as the drivers see it: the user's own, or the reference core. */}}

{{- define "leoflow.corePort" -}}
{{- regexFind "[0-9]+$" (include "leoflow.coreAddress" .) -}}
{{- end -}}

{{- define "leoflow.coreAddress" -}}
{{- if .Values.core.address -}}
{{- .Values.core.address -}}
{{- else -}}
{{- printf "%s.%s.svc:7443" (include "leoflow.coreName" .) .Release.Namespace -}}
{{- end -}}
{{- end -}}

{{/* The Secret of the reference core's certificate. */}}
{{- define "leoflow.coreCertificate" -}}
{{- if eq .Values.referenceCore.tls.source "secret" -}}
{{- .Values.referenceCore.tls.secretName -}}
{{- else -}}
{{- include "leoflow.coreName" . }}-tls
{{- end -}}
{{- end -}}

{{/* The source of the volume with core's CA; empty for the public ones. */}}
{{- define "leoflow.coreCA" -}}
{{- $ca := .Values.core.ca -}}
{{- if not .Values.core.address -}}
secret:
  secretName: {{ include "leoflow.coreCertificate" . | quote }}
  items: [{key: ca.crt, path: ca.crt}]
{{- else if $ca.secretName -}}
secret:
  secretName: {{ $ca.secretName | quote }}
  items: [{key: {{ $ca.key | quote }}, path: ca.crt}]
{{- else if $ca.configMapName -}}
configMap:
  name: {{ $ca.configMapName | quote }}
  items: [{key: {{ $ca.key | quote }}, path: ca.crt}]
{{- end -}}
{{- end -}}

{{/* The Secret that the reference core reads its entries from. */}}
{{- define "leoflow.coreEntries" -}}
{{- default (printf "%s-entries" (include "leoflow.coreName" .)) .Values.referenceCore.secretName -}}
{{- end -}}
