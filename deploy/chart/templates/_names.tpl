{{/* The name in the label app.kubernetes.io/name. */}}
{{- define "toolset.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 46 | trimSuffix "-" }}
{{- end }}

{{/* The name of the objects, at most 53 bytes, so that "-dashboard" and the like
have room behind it in 63. */}}
{{- define "toolset.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" }}
{{- else if contains (include "toolset.name" .) .Release.Name }}
{{- .Release.Name | trunc 53 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "toolset.name" .) | trunc 53 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "toolset.serviceAccount" -}}
{{- if .Values.serviceAccount.name }}
{{- .Values.serviceAccount.name }}
{{- else if .Values.serviceAccount.create }}
{{- include "toolset.fullname" . }}
{{- else }}
{{- fail "serviceAccount.name is empty: name the ServiceAccount to use, or set serviceAccount.create=true" }}
{{- end }}
{{- end }}

{{/* What picks the pods of this release. */}}
{{- define "toolset.release" -}}
app.kubernetes.io/name: {{ include "toolset.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of objects. There is no app.kubernetes.io/version: the image says it,
and a chart is not a version of the service. */}}
{{- define "toolset.labels" -}}
{{ include "toolset.release" . }}
app.kubernetes.io/part-of: kubernaut
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The lease by which replicas agree on who writes the ConfigMap: one for each
ConfigMap. */}}
{{- define "toolset.lease" -}}
{{- if eq .Values.configMap.name "kubernaut-toolset-config" }}dynamic-toolset{{ else }}{{ .Values.configMap.name }}{{ end }}
{{- end }}

{{/* Where pods in the cluster reach the API. */}}
{{- define "toolset.url" -}}
{{- $scheme := ternary "https" "http" (ne .Values.tls.secretName "") -}}
{{- printf "%s://%s.%s.svc.%s:8080" $scheme (include "toolset.fullname" .) .Release.Namespace (default "cluster.local" (get .Values.settings "cluster-domain")) }}
{{- end }}
