#!/usr/bin/env bash
# Builds the one image of everything that an Airflow runs, PostgreSQL included, from Debian's
# packages and PyPI's, and prints the path of its archive, which 'kind load image-archive'
# takes. Needs root for mmdebstrap, and no container engine. The archive stays in the user's
# cache directory (LEOFLOW_KIND_CACHE names another) under a hash of what it is made from.
set -euo pipefail
cd "$(dirname "$0")"
. ../../cache.sh

name=localhost/leoflow/airflow:test
uv=0.13.9
# Nothing that PyPI received later is installed, and no Python but Debian's.
export UV_EXCLUDE_NEWER=2026-11-20 UV_PYTHON_DOWNLOADS=never
packages=(apache-airflow==3.3.2 apache-airflow-providers-cncf-kubernetes apache-airflow-providers-postgres)

suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
archive=$cache/airflow-$( (echo "$suite"; cat build.sh customize.sh entrypoint.sh) | sha256sum | cut -c1-12).tar
if [[ -e $archive ]]; then
  echo "$archive"
  exit
fi

mkdir -p "$cache"
unfinished=$(mktemp -d "$cache/unfinished-XXXXXX")
trap 'rm -rf "$unfinished"' EXIT
chmod 755 "$unfinished"

echo "airflow: installing uv $uv" >&2
python3 -m venv "$unfinished/uv"
"$unfinished/uv/bin/pip" install --quiet "uv==$uv"

echo "airflow: unpacking Debian's packages and installing ${packages[*]}" >&2
sources=/etc/apt/sources.list.d/debian.sources
[[ -s $sources ]] || sources=/etc/apt/sources.list
mmdebstrap --quiet --variant=minbase --include=python3,python-is-python3,postgresql,dumb-init,tzdata,ca-certificates \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --customize-hook="'$PWD/customize.sh' \"\$1\" '$unfinished/uv/bin/uv' ${packages[*]}" "$suite" "$unfinished/layer.tar" "$sources" >&2

# The form in which 'docker save' writes an image.
jq --null-input --arg layer "sha256:$(sha256sum "$unfinished/layer.tar" | cut -d' ' -f1)" \
  --arg architecture "$(go env GOARCH)" '{
    $architecture, os: "linux", rootfs: {type: "layers", diff_ids: [$layer]},
    config: {
      User: "50000:0", WorkingDir: "/opt/airflow", Entrypoint: ["/usr/bin/dumb-init", "--", "/entrypoint"],
      Env: ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/home/airflow", "LANG=C.UTF-8", "AIRFLOW_HOME=/opt/airflow"]
    }
  }' >"$unfinished/config.json"
jq --null-input --arg name "$name" '[{Config: "config.json", RepoTags: [$name], Layers: ["layer.tar"]}]' >"$unfinished/manifest.json"
tar --create --file "$unfinished/image.tar" -C "$unfinished" manifest.json config.json layer.tar
rm -f "$cache"/airflow-*.tar # of earlier sources
mv "$unfinished/image.tar" "$archive"
echo "$archive"
