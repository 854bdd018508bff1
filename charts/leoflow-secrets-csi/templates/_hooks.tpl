{{/*
A Job of the release's own, with an account and rights that are there only as long as it is.
Takes the root, the name, helm's events, what it is allowed to (ClusterRole or Role, and the
rules), what is done with a Job that failed, and the fetcher's arguments.
*/}}
{{- define "leoflow.hook" -}}
{{- $name := printf "%s-%s" (include "leoflow.name" .root) .name -}}
{{- $role := $name -}}
{{- if eq .kind "ClusterRole" -}}
{{- $role = printf "%s-%s" $name .root.Release.Namespace -}}
{{- end -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "leoflow.labels" (dict "root" .root "component" "hook") | nindent 4 }}
  annotations:
    helm.sh/hook: {{ .events }}
    helm.sh/hook-weight: "-5"
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
automountServiceAccountToken: false
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  name: {{ $role }}
  {{- if eq .kind "Role" }}
  namespace: {{ .root.Release.Namespace }}
  {{- end }}
  labels:
    {{- include "leoflow.labels" (dict "root" .root "component" "hook") | nindent 4 }}
  annotations:
    helm.sh/hook: {{ .events }}
    helm.sh/hook-weight: "-5"
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
rules:
  {{- toYaml .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  name: {{ $role }}
  {{- if eq .kind "Role" }}
  namespace: {{ .root.Release.Namespace }}
  {{- end }}
  labels:
    {{- include "leoflow.labels" (dict "root" .root "component" "hook") | nindent 4 }}
  annotations:
    helm.sh/hook: {{ .events }}
    helm.sh/hook-weight: "-5"
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ $role }}
subjects:
  - kind: ServiceAccount
    name: {{ $name }}
    namespace: {{ .root.Release.Namespace }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "leoflow.labels" (dict "root" .root "component" "hook") | nindent 4 }}
  annotations:
    helm.sh/hook: {{ .events }}
    helm.sh/hook-delete-policy: {{ .policy }}
    helm.sh/hook-output-log-policy: hook-failed
spec:
  backoffLimit: 0
  activeDeadlineSeconds: {{ .seconds }}
  ttlSecondsAfterFinished: 600
  template:
    metadata:
      labels:
        {{- include "leoflow.selector" (dict "root" .root "component" "hook") | nindent 8 }}
    spec:
      restartPolicy: Never
      serviceAccountName: {{ $name }}
      automountServiceAccountToken: true
      enableServiceLinks: false
      {{- with include "leoflow.pullSecrets" .root }}
      {{- . | nindent 6 }}
      {{- end }}
      nodeSelector:
        kubernetes.io/os: linux
      {{- with .root.Values.hooks.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        {{- if not (.root.Capabilities.APIVersions.Has "security.openshift.io/v1") }}
        # OpenShift gives it a user of the namespace's own range.
        runAsUser: 65532
        runAsGroup: 65532
        {{- end }}
        seccompProfile: {type: RuntimeDefault}
      containers:
        - name: {{ .name }}
          image: {{ include "leoflow.image" (dict "root" .root "name" "driver") }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          command: [/fetcher]
          args:
            {{- toYaml .args | nindent 12 }}
          # The last line is helm's word for why it failed, where helm shows no logs.
          terminationMessagePolicy: FallbackToLogsOnError
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
          resources:
            requests: {cpu: 10m, memory: 32Mi}
            limits: {memory: 256Mi}
{{- end -}}
