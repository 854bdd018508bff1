{{/* Core as the drivers see it: the user's own, or the bundled core. */}}

{{/* Where the bundled core runs. */}}
{{- define "leoflow.coreNamespace" -}}
{{- default .Release.Namespace .Values.referenceCore.namespace -}}
{{- end -}}

{{/* Set where the bundled core is not in the namespace of the drivers. */}}
{{- define "leoflow.coreIsApart" -}}
{{- if and (not .Values.core.address) (ne (include "leoflow.coreNamespace" .) .Release.Namespace) -}}true{{- end -}}
{{- end -}}

{{- define "leoflow.corePort" -}}
{{- regexFind "[0-9]+$" (include "leoflow.coreAddress" .) -}}
{{- end -}}

{{- define "leoflow.coreAddress" -}}
{{- if .Values.core.address -}}
{{- .Values.core.address -}}
{{- else -}}
{{- printf "%s.%s.svc:7443" (include "leoflow.coreName" .) (include "leoflow.coreNamespace" .) -}}
{{- end -}}
{{- end -}}

{{/* The names that the bundled core's certificate is for. */}}
{{- define "leoflow.coreHosts" -}}
{{- $host := printf "%s.%s.svc" (include "leoflow.coreName" .) (include "leoflow.coreNamespace" .) -}}
{{- printf "%s,%s.cluster.local" $host $host -}}
{{- end -}}

{{/* The Secret of the bundled core's certificate. */}}
{{- define "leoflow.coreCertificate" -}}
{{- if eq .Values.referenceCore.tls.source "secret" -}}
{{- .Values.referenceCore.tls.secretName -}}
{{- else if eq .Values.referenceCore.tls.source "generated" -}}
{{- include "leoflow.coreName" . }}-authority
{{- else -}}
{{- include "leoflow.coreName" . }}-certificate
{{- end -}}
{{- end -}}

{{/* The source of the volume with core's CA; empty for the public ones. */}}
{{- define "leoflow.coreCA" -}}
{{- $ca := .Values.core.ca -}}
{{- $isApart := include "leoflow.coreIsApart" . -}}
{{- if and (not .Values.core.address) (eq .Values.referenceCore.tls.source "generated") -}}
configMap:
  name: {{ include "leoflow.coreName" . }}-ca
  items: [{key: ca.crt, path: ca.crt}]
{{- else if and (not .Values.core.address) (not $isApart) -}}
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

{{/* The Secret that the bundled core reads its entries from. */}}
{{- define "leoflow.coreEntries" -}}
{{- default (printf "%s-entries" (include "leoflow.coreName" .)) .Values.referenceCore.secretName -}}
{{- end -}}

{{/* The Secrets of Airflow's database and of its Fernet keys, as sources of a projected volume; empty
for none. The official chart's are called by its release. */}}
{{- define "leoflow.metastoreURL" -}}
{{- $core := .Values.referenceCore -}}
{{- if $core.metastore.urlSecretName -}}
{{- dict "name" $core.metastore.urlSecretName "items" (list (dict "key" "url" "path" "url")) | toJson -}}
{{- else if $core.airflow.release -}}
{{- dict "name" (printf "%s-metadata" $core.airflow.release) "items" (list (dict "key" "connection" "path" "url")) | toJson -}}
{{- end -}}
{{- end -}}

{{- define "leoflow.metastoreKeys" -}}
{{- $core := .Values.referenceCore -}}
{{- if $core.metastore.fernetKeysSecretName -}}
{{- dict "name" $core.metastore.fernetKeysSecretName "items" (list (dict "key" "keys" "path" "fernet-keys")) | toJson -}}
{{- else if $core.airflow.release -}}
{{- dict "name" (printf "%s-fernet-key" $core.airflow.release) "items" (list (dict "key" "fernet-key" "path" "fernet-keys")) | toJson -}}
{{- end -}}
{{- end -}}
