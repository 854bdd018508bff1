{{/*
What the schema cannot say, or not so that it helps. Every message names the value and
what to do; all that are wrong are told at once.
*/}}
{{- define "leoflow.check" -}}
{{- $wrong := list -}}
{{- $core := .Values.core -}}
{{- $reference := .Values.referenceCore -}}
{{- $isHostPort := regexMatch "^([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\]):[1-9][0-9]{0,4}$" (default "" $core.address) -}}
{{- if and $core.address (or (not $isHostPort) (gt (include "leoflow.corePort" . | int) 65535)) -}}
{{- $wrong = append $wrong (printf "core.address: %q is not host:port; it is a gRPC address without a scheme, such as core.example.com:7443" $core.address) -}}
{{- end -}}
{{- if and $core.ca.secretName $core.ca.configMapName -}}
{{- $wrong = append $wrong "core.ca: give secretName or configMapName, not both" -}}
{{- end -}}
{{- $tls := $reference.tls -}}
{{- if and $core.address (or $reference.secretName $reference.sealKeySecretName $reference.jwtKeySecretName $tls.secretName $tls.issuerRef.name) -}}
{{- $wrong = append $wrong "core.address: given, so the chart runs no bundled core, and the Secrets and the issuer under referenceCore have nothing to apply to; leave out the address or them" -}}
{{- end -}}
{{- $database := $reference.metastore -}}
{{- if and $core.address (or $database.urlSecretName $reference.airflow.release $reference.exporter.image) -}}
{{- $wrong = append $wrong "core.address: given, so the chart runs no bundled core, and referenceCore.metastore, .airflow and .exporter have nothing to apply to; leave out the address or them" -}}
{{- end -}}
{{- if gt (len (compact (list $database.urlSecretName $reference.airflow.release $reference.exporter.image))) 1 -}}
{{- $wrong = append $wrong "referenceCore: metastore, airflow and exporter all bring what Airflow has; give one of them" -}}
{{- end -}}
{{- if and $database.fernetKeysSecretName (not $database.urlSecretName) -}}
{{- $wrong = append $wrong "referenceCore.metastore.fernetKeysSecretName: needs urlSecretName" -}}
{{- end -}}
{{- if and $reference.exporter.image $reference.secretName -}}
{{- $wrong = append $wrong "referenceCore.exporter: writes the files that secretName would bring; leave out one" -}}
{{- end -}}
{{- if not $core.address -}}
{{- $copiesCA := and (include "leoflow.coreIsApart" .) (ne $tls.source "generated") -}}
{{- if and $copiesCA (not (or $core.ca.secretName $core.ca.configMapName)) -}}
{{- $wrong = append $wrong "core.ca: needed with referenceCore.namespace and a certificate that is not generated: the drivers cannot read a Secret of another namespace; copy its ca.crt into a ConfigMap or Secret of theirs" -}}
{{- end -}}
{{- if or (and (not $copiesCA) (or $core.ca.secretName $core.ca.configMapName)) $core.serverName $core.clientCertificateSecretName -}}
{{- $wrong = append $wrong "core.address: empty, so the chart runs the bundled core, and core.ca, core.serverName and core.clientCertificateSecretName have nothing to apply to; give the address or leave them out" -}}
{{- end -}}
{{- if and (eq $tls.source "secret") (not $tls.secretName) -}}
{{- $wrong = append $wrong "referenceCore.tls.secretName: needed with source \"secret\"" -}}
{{- end -}}
{{- if and (ne $tls.source "secret") $tls.secretName -}}
{{- $wrong = append $wrong (printf "referenceCore.tls.secretName: is for source \"secret\", and the source is %q" $tls.source) -}}
{{- end -}}
{{- if and (eq $tls.source "certManager") (not $tls.issuerRef.name) -}}
{{- $wrong = append $wrong "referenceCore.tls.issuerRef.name: needed with source \"certManager\"; name an Issuer, or a ClusterIssuer with kind: ClusterIssuer" -}}
{{- end -}}
{{- if and (ne $tls.source "certManager") $tls.issuerRef.name -}}
{{- $wrong = append $wrong (printf "referenceCore.tls.issuerRef: is for source \"certManager\", and the source is %q" $tls.source) -}}
{{- end -}}
{{- if and .Values.driver.startupTaint (semverCompare "<1.30-0" .Capabilities.KubeVersion.Version) -}}
{{- $wrong = append $wrong "driver.startupTaint: needs Kubernetes 1.30, whose admission policies narrow the right to patch nodes to one taint of a driver's own node" -}}
{{- end -}}
{{- if and .Values.injection.enabled (semverCompare "<1.36-0" .Capabilities.KubeVersion.Version) -}}
{{- $wrong = append $wrong "injection.enabled: needs Kubernetes 1.36; below, write the init container and fileKeyRef (1.35) or the agent into the pods, as docs/pods.md has them" -}}
{{- end -}}
{{- range $i, $rule := $reference.rules -}}
{{- if and $rule.tenants (not $reference.jwtKeySecretName) -}}
{{- $wrong = append $wrong (printf "referenceCore.rules[%d]: is for task instances, whom core knows by tokens; it needs referenceCore.jwtKeySecretName" $i) -}}
{{- end -}}
{{- end -}}
{{- $wrong = concat $wrong (include "leoflow.checkTeams" . | fromJsonArray) -}}
{{- end -}}
{{- range keys (include "leoflow.selector" (dict "root" . "component" "driver") | fromYaml) | sortAlpha -}}
{{- if hasKey (default dict $.Values.driver.podLabels) . -}}
{{- $wrong = append $wrong (printf "driver.podLabels: %s is what the driver's pods are selected by; leave it out" .) -}}
{{- end -}}
{{- end -}}
{{- $gcp := .Values.clouds.gcp -}}
{{- if and (include "leoflow.usesGCP" .) (not (or (hasPrefix "//iam.googleapis.com/" $gcp.audience) (hasPrefix "identitynamespace:" $gcp.audience))) -}}
{{- $wrong = append $wrong (printf "clouds.gcp.audience: %q is no workload identity provider; write it like //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER, or on GKE identitynamespace:PROJECT.svc.id.goog:CLUSTER_URL" $gcp.audience) -}}
{{- end -}}
{{- $audiences := (include "leoflow.audiences" . | fromJson).list -}}
{{- if ne (len $audiences) (len (uniq $audiences)) -}}
{{- $wrong = append $wrong (printf "core.audience, clouds, stores: the audience of each must be its own, or one could use at another what pods show it; there are %s" (join ", " $audiences)) -}}
{{- end -}}
{{- $wrong = concat $wrong (include "leoflow.checkKwargs" . | fromJsonArray) -}}
{{- range $name, $value := omit .Values.kubernetesSecrets "enabled" -}}
{{- if and $value (not $.Values.kubernetesSecrets.enabled) -}}
{{- $wrong = append $wrong (printf "kubernetesSecrets.%s: needs kubernetesSecrets.enabled" $name) -}}
{{- end -}}
{{- end -}}
{{- range .Values.driver.extraArgs -}}
{{- if regexMatch "^--(aws|azure|gcp|cloud|core-(address|ca|cert|key|plaintext|server|token)|events|fetch-|file-|health-|kubeconfig|kubernetes-|offline-|source-|startup-)[a-z-]*(=|$)|^--(allow-disk|connections|format|into|keyless|mode|refresh|source|task-token-file|token-file|variables|wait|watch)(=|$)" . -}}
{{- $wrong = append $wrong (printf "driver.extraArgs: %s is a flag of the fetcher's, and the driver would not start with it; move it to fetcher.extraArgs" (splitList "=" . | first)) -}}
{{- end -}}
{{- end -}}
{{- range .Values.fetcher.extraArgs -}}
{{- if regexMatch "^--into(=|$)" . -}}
{{- $wrong = append $wrong "fetcher.extraArgs: --into is for a pod without a driver, and this fetcher is beside one; leave it out" -}}
{{- end -}}
{{- end -}}
{{- if eq (include "leoflow.fullVolumes" .) "0" -}}
{{- $wrong = append $wrong (printf "driver.resources.limits.memory: %v holds no volume of driver.volumeSize, %v, beside what fetching it takes; raise it to 256Mi for 16Mi, or lower driver.volumeSize" .Values.driver.resources.limits.memory .Values.driver.volumeSize) -}}
{{- end -}}
{{- if not $core.address -}}
{{- $wrong = concat $wrong (include "leoflow.checkTest" . | fromJsonArray) -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n\n%s\n" (join "\n" $wrong)) -}}
{{- end -}}
{{- end -}}

{{/*
What is wrong with backend_kwargs, as a list in JSON. They become a flag of the driver's, which shows in the DaemonSet and in
its pods; so a secret among them is refused here, before the cluster has it. The driver, which knows all options, refuses the
others.
*/}}
{{- define "leoflow.checkKwargs" -}}
{{- $wrong := list -}}
{{- $all := dict "kubernetesSecrets.kwargs" .Values.kubernetesSecrets.kwargs -}}
{{- range $name, $store := .Values.stores -}}
{{- if kindIs "map" $store -}}{{- $_ := set $all (printf "stores.%s.kwargs" $name) $store.kwargs -}}{{- end -}}
{{- end -}}
{{- range $value, $text := $all -}}
{{- if and $text (not (hasPrefix "@" $text)) -}}
{{- $kwargs := fromJson $text -}}
{{- if hasKey $kwargs "Error" -}}
{{- $wrong = append $wrong (printf "%s: is no JSON object; give backend_kwargs as airflow.cfg has them, best by --set-file" $value) -}}
{{- end -}}
{{- range $option := list "token" "secret_id" "password" "jwt_token" "radius_secret" "gcp_keyfile_dict" "aws_secret_access_key" "aws_session_token" "client_secret" -}}
{{- if index $kwargs $option -}}
{{- $wrong = append $wrong (printf "%s: %q is a secret, which the DaemonSet would show; take it out, since each pod logs in as itself" $value $option) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $wrong | toJson -}}
{{- end -}}

{{/* What keeps core from starting with these teams, as a list in JSON. */}}
{{- define "leoflow.checkTeams" -}}
{{- $wrong := list -}}
{{- $names := dict -}}
{{- range $i, $team := .Values.referenceCore.teams -}}
{{- $at := printf "referenceCore.teams[%d]" $i -}}
{{- if hasKey $names $team.name -}}
{{- $wrong = append $wrong (printf "%s.name: two teams are called %q; rename one" $at $team.name) -}}
{{- end -}}
{{- $_ := set $names $team.name true -}}
{{- if eq $team.name "admin" -}}
{{- $wrong = append $wrong (printf "%s.name: \"admin\" is what the admin's own file is called; name the team otherwise" $at) -}}
{{- end -}}
{{- if not (or $team.namespaces $team.tenants) -}}
{{- $wrong = append $wrong (printf "%s: has nobody; give namespaces, tenants or both" $at) -}}
{{- end -}}
{{- if and $team.tenants (not $.Values.referenceCore.jwtKeySecretName) -}}
{{- $wrong = append $wrong (printf "%s.tenants: are of task instances, whom core knows by tokens; it needs referenceCore.jwtKeySecretName" $at) -}}
{{- end -}}
{{- end -}}
{{- $wrong | toJson -}}
{{- end -}}

{{/*
What the pod of `helm test` asks for and cannot be given by the reference core, as a list in
JSON. Helm merges maps and replaces lists, so that values with rules of their own still have
the test of the defaults. Entries that may be absent, and those of other sources, are let go.
*/}}
{{- define "leoflow.checkTest" -}}
{{- $wrong := list -}}
{{- $reference := .Values.referenceCore -}}
{{- range $kind := list "connections" "variables" -}}
{{- range $id := regexSplit "[,\\s]+" (index $.Values.test $kind | default "") -1 -}}
{{- if not (or (empty $id) (eq $id "*") (hasSuffix "?" $id) (contains "@" $id)) -}}
{{- $allowed := false -}}
{{- range $rule := $reference.rules -}}
{{- if and (include "leoflow.isForTest" (list $ $rule)) (include "leoflow.matches" (list (index $rule $kind) $id)) -}}
{{- $allowed = true -}}
{{- end -}}
{{- end -}}
{{- if not $allowed -}}
{{- $wrong = append $wrong (printf "test.%s: no rule of referenceCore.rules lets service account %s/default, which 'helm test' runs as, read %q; add such a rule, or name in test.%s what one lets it read, \"\" for nothing" $kind $.Release.Namespace $id $kind) -}}
{{- else if not (or $reference.secretName $reference.metastore.urlSecretName $reference.airflow.release $reference.exporter.image (hasKey (index $reference $kind | default dict) $id)) -}}
{{- $wrong = append $wrong (printf "test.%s: %q is not in referenceCore.%s; name one that is" $kind $id $kind) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $wrong | toJson -}}
{{- end -}}

{{/*
What the pod of `helm test` asks for and referenceCore.deny keeps from it. It is no mistake: what has to
be taken away is, and waits for nobody to change the test.
*/}}
{{- define "leoflow.deniedTest" -}}
{{- $denied := list -}}
{{- if not .Values.core.address -}}
{{- range $kind := list "connections" "variables" -}}
{{- range $id := regexSplit "[,\\s]+" (index $.Values.test $kind | default "") -1 -}}
{{- range $rule := $.Values.referenceCore.deny -}}
{{- $everybody := not (or $rule.namespaces $rule.serviceAccounts $rule.tenants $rule.dags) -}}
{{- if and (or $everybody (include "leoflow.isForTest" (list $ $rule))) (include "leoflow.matches" (list (index $rule $kind) $id)) -}}
{{- $denied = append $denied (printf "%q of test.%s" $id $kind) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- uniq $denied | join ", " -}}
{{- end -}}

{{/* Whether a rule is for the service account that `helm test` runs as. Takes the root and the rule. */}}
{{- define "leoflow.isForTest" -}}
{{- $rule := index . 1 -}}
{{- if and (include "leoflow.matches" (list $rule.namespaces (index . 0).Release.Namespace)) (include "leoflow.matches" (list $rule.serviceAccounts "default")) -}}
yes
{{- end -}}
{{- end -}}

{{/* Whether any of the patterns matches the text, as core's rules do: "*" is any text. */}}
{{- define "leoflow.matches" -}}
{{- $text := index . 1 -}}
{{- range index . 0 -}}
{{- $literal := list -}}
{{- range splitList "*" . -}}
{{- $literal = append $literal (regexQuoteMeta .) -}}
{{- end -}}
{{- if regexMatch (printf "^(?s:%s)$" (join ".*" $literal)) $text -}}
yes
{{- end -}}
{{- end -}}
{{- end -}}
