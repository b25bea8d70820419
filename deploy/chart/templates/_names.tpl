{{/* Names, labels, and what pods of both kinds have in common. */}}

{{- define "tollgate.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Names of pods are made from it, and end up in names of hosts: 63 characters with what follows. */}}
{{- define "tollgate.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "tollgate.name" .) .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name (include "tollgate.name" .) | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "tollgate.selector" -}}
app.kubernetes.io/name: {{ include "tollgate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tollgate.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "tollgate.selector" . }}
{{- end }}

{{- define "tollgate.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "tollgate.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{- define "tollgate.joinSecret" -}}
{{ default (printf "%s-join" (include "tollgate.fullname" .)) .Values.join.existingSecret }}
{{- end }}

{{- define "tollgate.adminSecret" -}}
{{ default (printf "%s-admin" (include "tollgate.fullname" .)) .Values.admin.existingSecret }}
{{- end }}

{{- define "tollgate.peers" -}}
{{ include "tollgate.fullname" . }}-peers
{{- end }}
