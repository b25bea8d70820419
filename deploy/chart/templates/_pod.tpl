{{/*
A pod of nodes. Given: root (the chart's context), component, resources.
*/}}
{{- define "tollgate.pod" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $any := ternary "[::]" "0.0.0.0" $values.ipv6 -}}
metadata:
  labels:
    {{- include "tollgate.selector" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "tollgate.serviceAccount" $root }}
  {{- with $values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  # Besides both pauses: what was spent is told, leadership handed over, the log closed.
  terminationGracePeriodSeconds: {{ add $values.endpointGraceSeconds $values.drainSeconds 30 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
    # Gateways name ports such as 80: whoever runs the pod may open them.
    sysctls:
    - name: net.ipv4.ip_unprivileged_port_start
      value: "0"
  containers:
  - name: tollgate
    image: {{ printf "%s:%s" $values.image.repository (default $root.Chart.AppVersion $values.image.tag) | quote }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    args:
    - run
    - --data=/data
    - --node=$(POD_NAME)
    - --listen={{ $any }}:1975
    - --admin={{ $any }}:1064
    - --cluster={{ ternary "[$(POD_IP)]" "$(POD_IP)" $values.ipv6 }}:1976
    - --join={{ include "tollgate.peers" $root }}:1976
    - --join-secret={{ include "tollgate.joinSecret" $root }}
    - --founder={{ include "tollgate.fullname" $root }}-0
    - --kubernetes=on
    - --controller-name={{ $values.controllerName }}
    - --voters={{ $values.voters }}
    {{- if eq $.component "serving" }}
    - --learner
    {{- end }}
    - --drain-timeout={{ $values.drainSeconds }}
    {{- with $values.region }}
    - --region={{ . }}
    {{- end }}
    {{- with $values.zone }}
    - --zone={{ . }}
    {{- end }}
    {{- with $values.extraArgs }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    env:
    - name: POD_NAME
      valueFrom:
        fieldRef:
          fieldPath: metadata.name
    - name: POD_IP
      valueFrom:
        fieldRef:
          fieldPath: status.podIP
    - name: TOLLGATE_ADMIN_TOKEN
      valueFrom:
        secretKeyRef:
          name: {{ include "tollgate.adminSecret" $root }}
          key: token
    {{- with $values.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    ports:
    - name: clients
      containerPort: 1975
    - name: cluster
      containerPort: 1976
    - name: gossip
      containerPort: 1976
      protocol: UDP
    - name: admin
      containerPort: 1064
    # A node that joins opens its admin port once it is let in: nothing is asked of it before.
    startupProbe:
      httpGet:
        path: /healthz
        port: admin
      periodSeconds: 2
      failureThreshold: 300
    livenessProbe:
      httpGet:
        path: /healthz
        port: admin
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    readinessProbe:
      httpGet:
        path: /readyz
        port: admin
      periodSeconds: 2
      failureThreshold: 2
    lifecycle:
      preStop:
        sleep:
          seconds: {{ $values.endpointGraceSeconds }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop:
        - ALL
    resources:
      {{- toYaml .resources | nindent 6 }}
    volumeMounts:
    - name: data
      mountPath: /data
  {{- with $values.topologySpread }}
  topologySpreadConstraints:
  {{- range . }}
  - {{ toYaml . | nindent 4 | trim }}
    labelSelector:
      matchLabels:
        {{- include "tollgate.selector" $root | nindent 8 }}
        app.kubernetes.io/component: {{ $.component }}
  {{- end }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
