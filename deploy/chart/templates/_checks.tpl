{{/* Values that are right by themselves and wrong together. */}}
{{- define "toolset.checks" -}}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) }}
{{- fail (printf "autoscaling.minReplicas (%d) is above autoscaling.maxReplicas (%d)" (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- end }}
{{- if and (eq .Values.scope "list") (not .Values.namespaces) }}
{{- fail "scope=list needs namespaces, the list of those to watch" }}
{{- end }}
{{- if and (ne .Values.scope "list") .Values.namespaces }}
{{- fail (printf "namespaces is only of use with scope=list, and scope is %q" .Values.scope) }}
{{- end }}
{{- if and .Values.autoscaling.enabled (not (dig "requests" "cpu" "" .Values.resources)) }}
{{- fail "autoscaling needs resources.requests.cpu: its target is in percent of that" }}
{{- end }}
{{- range $label := list "name" "instance" "component" "part-of" }}
{{- if hasKey $.Values.podLabels (printf "app.kubernetes.io/%s" $label) }}
{{- fail (printf "podLabels has app.kubernetes.io/%s, which is the chart's own; see nameOverride" $label) }}
{{- end }}
{{- end }}
{{- end }}
