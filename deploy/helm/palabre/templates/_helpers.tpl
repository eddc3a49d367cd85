{{/* Names and labels. Everywhere below, a component is one of gateway, persister, notifier and prepare. */}}

{{- define "palabre.services" -}}
gateway persister notifier
{{- end }}

{{- define "palabre.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "palabre.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* Of what a Deployment selects: never changes. Takes (list $ component). */}}
{{- define "palabre.selector" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/name: {{ include "palabre.name" $ }}
app.kubernetes.io/instance: {{ $.Release.Name }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "palabre.labels" -}}
{{- $ := index . 0 -}}
{{ include "palabre.selector" . }}
app.kubernetes.io/part-of: palabre
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "palabre.image" -}}
{{- $ := index . 0 -}}
{{- $image := $.Values.image -}}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $image.prefix }}{{ index . 1 }}:{{ default $.Chart.AppVersion $image.tag }}
{{- end }}

{{/* Where a secret value is: in a Secret of somebody else, of an operator, or in the chart's own. */}}

{{- define "palabre.amqpSecret" -}}
{{- with .Values.rabbitmq -}}
{{- if .cluster.enabled -}}
name: {{ include "palabre.fullname" $ }}-rabbitmq-default-user
key: connection_string
{{- else if .existingSecret.name -}}
name: {{ .existingSecret.name }}
key: {{ .existingSecret.key }}
{{- else -}}
name: {{ include "palabre.fullname" $ }}{{ $.hook }}
key: amqp-url
{{- end -}}
{{- end -}}
{{- end }}

{{- define "palabre.mongodbSecret" -}}
{{- with .Values.mongodb -}}
{{- if .cluster.enabled -}}
name: {{ include "palabre.fullname" $ }}-mongodb-url
key: connectionString.standard
{{- else if .existingSecret.name -}}
name: {{ .existingSecret.name }}
key: {{ .existingSecret.key }}
{{- else -}}
name: {{ include "palabre.fullname" $ }}{{ $.hook }}
key: mongodb-url
{{- end -}}
{{- end -}}
{{- end }}

{{- define "palabre.jwtSecret" -}}
{{- with .Values.auth -}}
{{- if .existingSecret.name -}}
name: {{ .existingSecret.name }}
key: {{ .existingSecret.key }}
{{- else -}}
name: {{ include "palabre.fullname" $ }}
key: jwt-secret
{{- end -}}
{{- end -}}
{{- end }}

{{- define "palabre.managementSecret" -}}
{{- with .Values.rabbitmq -}}
{{- if .managementExistingSecret.name -}}
name: {{ .managementExistingSecret.name }}
key: {{ .managementExistingSecret.key }}
{{- else -}}
name: {{ include "palabre.fullname" $ }}
key: management-url
{{- end -}}
{{- end -}}
{{- end }}

{{/* What of the chart's own Secret is used: nothing where everything comes from elsewhere. */}}
{{- define "palabre.secretData" -}}
{{- $rabbitmq := .Values.rabbitmq -}}
{{- $mongodb := .Values.mongodb -}}
{{- if not (or $rabbitmq.cluster.enabled $rabbitmq.existingSecret.name) }}
amqp-url: {{ required "rabbitmq.url, rabbitmq.existingSecret.name or rabbitmq.cluster.enabled is needed" $rabbitmq.url | b64enc }}
{{- end }}
{{- if not (or $mongodb.cluster.enabled $mongodb.existingSecret.name) }}
mongodb-url: {{ required "mongodb.url, mongodb.existingSecret.name or mongodb.cluster.enabled is needed" $mongodb.url | b64enc }}
{{- end }}
{{- if and .Values.auth.jwtSecret (not .Values.auth.existingSecret.name) }}
jwt-secret: {{ .Values.auth.jwtSecret | b64enc }}
{{- end }}
{{- if and $rabbitmq.managementUrl (not $rabbitmq.managementExistingSecret.name) }}
management-url: {{ $rabbitmq.managementUrl | b64enc }}
{{- end }}
{{- end }}

{{/* A setting's value as a text. Numbers in a file of values are floats to helm, and 2097152 would be "2.097152e+06". */}}
{{- define "palabre.setting" -}}
{{- kindIs "string" . | ternary . (toJson .) | quote }}
{{- end }}

{{/* Settings of every service. */}}
{{- define "palabre.config" -}}
PARTITIONS: {{ .Values.partitions | quote }}
MONGODB_DATABASE: {{ .Values.mongodb.database | quote }}
SHUTDOWN_TIMEOUT: {{ .Values.shutdownSeconds | quote }}
{{- with .Values.prefix }}
PREFIX: {{ . | quote }}
{{- end }}
{{- with .Values.traces.endpoint }}
TRACES: {{ . | quote }}
{{- end }}
{{- range $name, $value := .Values.config }}
{{ $name }}: {{ include "palabre.setting" $value }}
{{- end }}
{{- end }}

{{/* The two servers, of (dict with Values, Release, Chart; hook: what is behind the name of the chart's Secret). */}}
{{- define "palabre.servers" -}}
- name: AMQP_URL
  valueFrom:
    secretKeyRef:
      {{- include "palabre.amqpSecret" . | nindent 6 }}
- name: MONGODB_URL
  valueFrom:
    secretKeyRef:
      {{- include "palabre.mongodbSecret" . | nindent 6 }}
{{- end }}

{{/* Pod Security "restricted", and a root file system that nothing is written to. */}}
{{- define "palabre.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "palabre.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "palabre.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The pod of a Job that runs one command: (list $ ConfigMap what-is-behind-the-name-of-the-chart's-Secret arguments). */}}
{{- define "palabre.commandPod" -}}
{{- $ := index . 0 -}}
metadata:
  labels:
    {{- include "palabre.labels" (list $ "prepare") | nindent 4 }}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- include "palabre.pullSecrets" $ | nindent 2 }}
  securityContext:
    {{- include "palabre.podSecurity" $ | nindent 4 }}
  containers:
    - name: palabre
      image: {{ include "palabre.image" (list $ "persister") | quote }}
      imagePullPolicy: {{ $.Values.image.pullPolicy }}
      command:
        - palabre
        {{- range index . 3 }}
        - {{ . | quote }}
        {{- end }}
      envFrom:
        - configMapRef:
            name: {{ index . 1 }}
      env:
        {{- include "palabre.servers" (dict "Values" $.Values "Release" $.Release "Chart" $.Chart "hook" (index . 2)) | nindent 8 }}
      resources:
        {{- toYaml $.Values.prepare.resources | nindent 8 }}
      securityContext:
        {{- include "palabre.containerSecurity" $ | nindent 8 }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
        {{- with $.Values.persister.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir:
        sizeLimit: 16Mi
    {{- with $.Values.persister.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
