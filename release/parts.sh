#!/usr/bin/env bash
# Makes the parts of a release that goreleaser does not: images and chart. It calls this first.
#
#   release/parts.sh VERSION COMMIT SECONDS
set -euo pipefail
version=$1 commit=$2 seconds=$3
cd "$(dirname "$0")/.."
# What is left of 63 bytes, the longest label, for the version in the chart's.
((${#version} <= 43)) || { echo "version $version is longer than the 43 bytes that are left for it in the chart's label" >&2; exit 1; }
rm -rf dist/parts
mkdir -p dist/parts/out
release/programs.sh dist/parts/programs "v$version" "$commit" linux/amd64 linux/arm64
(cd images && go run . --programs ../dist/parts/programs --out ../dist/parts/images --tag "v$version" --revision "$commit" --created "$seconds")

name=leoflow-secrets-csi
for file in dist/parts/images/*; do
  base=${file##*/}
  case $base in
  digests.txt) base=${name}_${version}_image-digests.txt ;;
  *.oci.tar) base=$name-${base%.oci.tar}_$version.oci.tar ;;
  *) IFS=- read -r program os arch <<<"${base%.tar}"; base=$name-${program}_${version}_${os}_$arch.image.tar ;;
  esac
  mv "$file" "dist/parts/out/$base"
done

cp dist/parts/programs/*.whl dist/parts/out/
if [[ -n ${SYFT-} ]]; then # goreleaser lists what is in its own archives alone
  for wheel in dist/parts/out/*.whl; do
    release/sbom.sh "$wheel" "${wheel%.whl}.cdx.json" "$(date --utc --date="@$seconds" +%FT%TZ)" "v$version"
  done
fi

# helm package writes the time, and the modes that files have here.
cp -R "charts/$name" dist/parts/
[[ $version == *-* ]] && early=true || early=false
sed -i "s/^version:.*/version: $version/; s/^appVersion:.*/appVersion: v$version/
  s|^\(  artifacthub.io/prerelease:\).*|\1 \"$early\"|" "dist/parts/$name/Chart.yaml"
chmod -R u=rwX,go=rX "dist/parts/$name"
tar --create --directory dist/parts --sort=name --mtime="@$seconds" --owner=root:0 --group=root:0 --format=ustar "$name" |
  gzip --no-name --best >"dist/parts/out/$name-$version.tgz"
