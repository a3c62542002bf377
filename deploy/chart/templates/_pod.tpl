{{/* The pod. */}}
{{- define "toolset.pod" -}}
{{- $v := .Values -}}
metadata:
  {{- with $v.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  labels:
    {{- with $v.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- include "toolset.release" . | nindent 4 }}
    app.kubernetes.io/component: lookup
    app.kubernetes.io/part-of: kubernaut
spec:
  serviceAccountName: {{ include "toolset.serviceAccount" . }}
  automountServiceAccountToken: true
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add $v.shutdown.propagationDelaySeconds $v.shutdown.drainTimeoutSeconds 10 }}
  {{- with $v.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $v.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- include "toolset.spread" . | nindent 2 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    seccompProfile:
      type: RuntimeDefault
    {{- if $v.tls.secretName }}
    fsGroup: 65532 # reads the key
    {{- end }}
  containers:
    - name: dynamic-toolset
      image: {{ include "toolset.image" . | quote }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      env:
        {{- include "toolset.env" . | nindent 8 }}
      ports:
        - name: http
          containerPort: 8080
        - name: metrics
          containerPort: 9090
      readinessProbe:
        httpGet:
          path: /health/ready
          port: http
          {{- if $v.tls.secretName }}
          scheme: HTTPS
          {{- end }}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 2
      livenessProbe:
        httpGet:
          path: /health/live
          port: http
          {{- if $v.tls.secretName }}
          scheme: HTTPS
          {{- end }}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      {{- with $v.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      {{- if or $v.rules.configMap $v.healthCA.configMap $v.tls.secretName }}
      volumeMounts:
        {{- if $v.tls.secretName }}
        - name: tls
          mountPath: /etc/dynamic-toolset/tls
          readOnly: true
        {{- end }}
        {{- if $v.rules.configMap }}
        - name: rules
          mountPath: /etc/dynamic-toolset/rules
          readOnly: true
        {{- end }}
        {{- if $v.healthCA.configMap }}
        - name: health-ca
          mountPath: /etc/dynamic-toolset/health-ca
          readOnly: true
        {{- end }}
      {{- end }}
  {{- if or $v.rules.configMap $v.healthCA.configMap $v.tls.secretName }}
  volumes:
    {{- with $v.tls.secretName }}
    - name: tls
      secret:
        secretName: {{ . }}
        defaultMode: 288 # 0440, for the group of securityContext
    {{- end }}
    {{- with $v.rules.configMap }}
    - name: rules
      configMap:
        name: {{ . }}
    {{- end }}
    {{- with $v.healthCA.configMap }}
    - name: health-ca
      configMap:
        name: {{ . }}
    {{- end }}
  {{- end }}
{{- end }}

{{- define "toolset.image" -}}
{{- $i := .Values.image -}}
{{- if $i.digest }}
{{- printf "%s@%s" $i.repository $i.digest }}
{{- else }}
{{- printf "%s:%s" $i.repository (default .Chart.AppVersion $i.tag) }}
{{- end }}
{{- end }}

{{/* One node, or zone, less is one replica less; a wish, not a condition. */}}
{{- define "toolset.spread" -}}
{{- $v := .Values -}}
topologySpreadConstraints:
  {{- range $key := ternary (list "kubernetes.io/hostname" "topology.kubernetes.io/zone") (list "kubernetes.io/hostname") $v.spread.zones }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "toolset.release" $ | nindent 8 }}
        app.kubernetes.io/component: lookup
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- if $v.affinity }}
affinity:
  {{- toYaml $v.affinity | nindent 2 }}
{{- else if $v.spread.zones }}
# The scheduler leaves nodes without a zone out of all the constraints above.
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "toolset.release" . | nindent 14 }}
              app.kubernetes.io/component: lookup
{{- end }}
{{- end }}

{{- define "toolset.env" -}}
{{- $v := .Values -}}
- name: TOOLSET_SERVED_BY
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- $limit := dig "limits" "memory" "" $v.resources | toString }}
{{- if regexMatch "^[0-9]+[MG]i$" $limit }}
- name: GOMEMLIMIT
  value: {{ printf "%dMiB" (div (mul 7 (int (regexFind "^[0-9]+" $limit)) (ternary 1024 1 (hasSuffix "Gi" $limit))) 8) | quote }}
{{- end }}
{{- range $name, $value := $v.settings }}
{{- if not (kindIs "invalid" $value) }}
- name: TOOLSET_{{ $name | replace "-" "_" | upper }}
  {{- if and (kindIs "bool" $value) (has $name (list "event-loop" "identify")) }}
  value: "off" {{- /* an off without quotes, to YAML 1.1 */}}
  {{- else }}
  value: {{ include "toolset.value" $value | quote }}
  {{- end }}
{{- end }}
{{- end }}
- name: TOOLSET_CONFIGMAP_ENABLED
  value: {{ $v.configMap.enabled | quote }}
{{- if $v.configMap.enabled }}
- name: TOOLSET_CONFIGMAP_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- if ne $v.configMap.name "kubernaut-toolset-config" }}
- name: TOOLSET_CONFIGMAP_NAME
  value: {{ $v.configMap.name | quote }}
- name: TOOLSET_LEADER_ELECTION_LEASE
  value: {{ include "toolset.lease" . | quote }}
{{- end }}
{{- $outputs := default list (get $v.settings "outputs") }}
{{- if and (or (has "mcp" $outputs) (has "kagent" $outputs)) (not (hasKey $v.settings "own-url")) }}
- name: TOOLSET_OWN_URL
  value: {{ include "toolset.url" . | quote }}
{{- end }}
{{- end }}
{{- if $v.workloadEvidence }}
- name: TOOLSET_WORKLOAD_EVIDENCE
  value: "true"
{{- end }}
{{- if $v.authentication.enabled }}
- name: TOOLSET_AUTH
  value: token
- name: TOOLSET_AUTH_AUDIENCES
  value: {{ join "," $v.authentication.audiences | quote }}
{{- end }}
{{- if $v.tls.secretName }}
- name: TOOLSET_TLS_CERT_FILE
  value: /etc/dynamic-toolset/tls/tls.crt
- name: TOOLSET_TLS_KEY_FILE
  value: /etc/dynamic-toolset/tls/tls.key
{{- end }}
{{- if eq $v.scope "namespace" }}
- name: TOOLSET_NAMESPACES
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- else if eq $v.scope "list" }}
- name: TOOLSET_NAMESPACES
  value: {{ join "," $v.namespaces | quote }}
{{- end }}
{{- if ne (int $v.shutdown.propagationDelaySeconds) 5 }}
- name: TOOLSET_SHUTDOWN_PROPAGATION_DELAY
  value: {{ printf "%ds" (int $v.shutdown.propagationDelaySeconds) | quote }}
{{- end }}
{{- if ne (int $v.shutdown.drainTimeoutSeconds) 30 }}
- name: TOOLSET_SHUTDOWN_DRAIN_TIMEOUT
  value: {{ printf "%ds" (int $v.shutdown.drainTimeoutSeconds) | quote }}
{{- end }}
{{- if $v.rules.configMap }}
- name: TOOLSET_RULES
  value: {{ printf "/etc/dynamic-toolset/rules/%s" $v.rules.key | quote }}
{{- end }}
{{- if $v.healthCA.configMap }}
- name: TOOLSET_HEALTH_CA_FILE
  value: {{ printf "/etc/dynamic-toolset/health-ca/%s" $v.healthCA.key | quote }}
{{- end }}
{{- end }}

{{/* A setting's value as text: lists separated by commas, whole numbers as such
(Helm has them as floats, which print as 1e+06). */}}
{{- define "toolset.value" -}}
{{- if kindIs "slice" . }}
{{- join "," . }}
{{- else if kindIs "float64" . }}
{{- int64 . }}
{{- else }}
{{- . }}
{{- end }}
{{- end }}
