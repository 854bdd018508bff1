# Sourced by the scripts here: sets cache, the directory of what stays between runs. What is
# put there runs in containers under other users too.
# shellcheck shell=bash disable=SC2034
umask 022
if [[ -z ${LEOFLOW_KIND_CACHE:-${XDG_CACHE_HOME:-${HOME:-}}} ]]; then
  echo "${0##*/}: neither HOME nor LEOFLOW_KIND_CACHE says where to keep images and builds" >&2
  exit 2
fi
cache=${LEOFLOW_KIND_CACHE:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/leoflow-kind}
if [[ $cache != /* ]]; then
  echo "${0##*/}: the cache directory '$cache' has no absolute path" >&2
  exit 2
fi
