#!/bin/bash
# What 'kind export logs' asks of crictl, which is in no package of Debian's: the list of images.
[[ $* == images ]] || { echo "crictl: this node has no more of it than 'crictl images'; take ctr" >&2; exit 2; }
exec ctr --namespace=k8s.io images list
