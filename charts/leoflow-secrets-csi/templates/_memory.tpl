{{/* A quantity of bytes as a number; nothing where it is not a whole one. */}}
{{- define "leoflow.bytes" -}}
{{- $text := ternary (int64 .) . (kindIs "float64" .) | toString -}}
{{- $factors := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 -}}
{{- if regexMatch "^[0-9]+(k|M|G|Ki|Mi|Gi)?$" $text -}}
{{- mul (regexFind "^[0-9]+" $text | int64) (get $factors (regexFind "[A-Za-z]*$" $text)) -}}
{{- end -}}
{{- end -}}

{{/*
How many volumes of driver.volumeSize find room beside each other in the driver's memory limit,
as internal/budget reckons; nothing without a limit, 0 where there is not enough memory to fetch
what fills one.
*/}}
{{- define "leoflow.fullVolumes" -}}
{{- $limits := dig "limits" (dict) (default (dict) .Values.driver.resources) -}}
{{- $limit := include "leoflow.bytes" (get (default (dict) $limits) "memory") | default "0" | int64 -}}
{{- if $limit -}}
{{- $size := include "leoflow.bytes" .Values.driver.volumeSize | int64 -}}
{{- $rest := max (sub $limit 50331648) (div $limit 4) -}}
{{- $work := min 112044715 (div (mul $rest 3) 5) -}}
{{- $answer := min 8388608 (div (sub (sub $work (div $work 4)) 147456) 10) -}}
{{- $volumes := sub $rest $work -}}
{{- if gt $size (mul 2 $answer) -}}0{{- else -}}{{- div (sub $volumes (div $volumes 4)) $size -}}{{- end -}}
{{- end -}}
{{- end -}}
