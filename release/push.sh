#!/usr/bin/env bash
# Pushes the images and the chart of dist/release to a registry, and signs them there:
#
#   release/push.sh ghcr.io/leoflow [COSIGN FLAG ...]
#
# Without flags cosign signs as whom the forge knows the workflow. The chart installs the images
# from that registry, by their digests.
set -euo pipefail
if [[ ! ${1-} =~ ^[a-z0-9][a-z0-9._:/-]*[a-z0-9]$ || $1 == *://* ]]; then
  echo "push: '${1-}' is no registry; write it as in: release/push.sh ghcr.io/leoflow" >&2
  exit 2
fi
registry=$1
shift
cd "$(dirname "$0")/.."
charts=(dist/release/leoflow-secrets-csi-[0-9]*.tgz)
[[ -e ${charts[0]} ]] || { echo 'push: there is no release in dist/release; make one first: make release' >&2; exit 2; }
tool() { go tool -modfile="tools/$1.mod" -n "$2"; }
crane=${CRANE:-$(tool crane crane)} helm=${HELM:-$(tool helm helm)} cosign=${COSIGN:-$(tool cosign cosign)}
plain='' allow=()
if [[ $registry == 127.* || $registry == localhost[:/]* || -n ${INSECURE-} ]]; then plain=--plain-http allow=(--allow-http-registry); fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chart=${charts[0]##*/}
version=${chart#leoflow-secrets-csi-} version=${version%.tgz}

refs=() digests=()
for name in driver agent core; do
  mkdir "$work/$name"
  tar --extract --file "dist/release/leoflow-secrets-csi-${name}_$version.oci.tar" --directory "$work/$name"
  image=$registry/secrets-csi/$name
  "$crane" push ${plain:+--insecure} --index "$work/$name" "$image:v$version" >/dev/null
  digest=$("$crane" digest ${plain:+--insecure} "$image:v$version")
  refs+=("$image@$digest") digests+=(-e "/^  digests:/,/^    core:/s|^    $name: .*|    $name: $digest|")
done

# The pushed chart says where the images are, and which; its files are those of the release but for that.
tar --extract --gzip --file "dist/release/$chart" --directory "$work"
sed -i -e "s|^  repository: .*|  repository: $registry/secrets-csi|" "${digests[@]}" "$work/leoflow-secrets-csi/values.yaml"
"$helm" package --destination "$work" "$work/leoflow-secrets-csi" >/dev/null
pushed=$("$helm" push $plain "$work/$chart" "oci://$registry/charts" 2>&1 | tee /dev/stderr | awk '$1 == "Digest:" {print $2}')
refs+=("$registry/charts/leoflow-secrets-csi@$pushed")

"$cosign" sign --yes "${allow[@]}" "$@" "${refs[@]}"
printf '%s\n' "${refs[@]}" | tee dist/release-refs.txt
