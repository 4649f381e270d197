{{- define "nexus.name" -}}
{{- default (printf "%s-operator" .Release.Name) .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- define "nexus.labels" -}}
app.kubernetes.io/name: nexus-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "nexus.selector" -}}
app.kubernetes.io/name: nexus-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "nexus.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "nexus.name" .) .Values.serviceAccount.name }}
{{- else }}{{ required "serviceAccount.name: which account, when none is created?" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* (dict "root" $ "name" "nexus-node"): registry, name and tag. */}}
{{- define "nexus.image" -}}
{{- with .root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end }}{{ .name }}:{{ default .root.Chart.AppVersion .root.Values.image.tag }}
{{- end }}

{{- /* The namespaces that hold federations, as far as the chart knows them: those listed, else the release's own. */}}
{{- define "nexus.federationNamespaces" -}}
{{- toJson (default (list .Release.Namespace) .Values.namespaces) -}}
{{- end }}
