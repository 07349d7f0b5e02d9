{{/* The tag of both images. */}}
{{- define "bellwether.tag" -}}
{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Whether the cluster puts the node's name in each token of a pod. */}}
{{- define "bellwether.tokensNameNodes" -}}
{{- if semverCompare ">=1.32.0-0" .Capabilities.KubeVersion.Version }}yes{{ end }}
{{- end }}

{{/* What both daemons are told about logs, as environment variables. */}}
{{- define "bellwether.logEnv" -}}
{{- with .Values.logLevel }}
- name: BELLWETHER_LOG_LEVEL
  value: {{ . | quote }}
{{- end }}
{{- with .Values.logFormat }}
- name: BELLWETHER_LOG_FORMAT
  value: {{ . | quote }}
{{- end }}
{{- end }}

{{/* The port of the speaker's metrics. */}}
{{- define "bellwether.speakerMetricsPort" -}}
{{ .Values.speaker.metricsAddress | default ":7472" | splitList ":" | last }}
{{- end }}
