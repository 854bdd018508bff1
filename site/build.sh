#!/usr/bin/env bash
# Writes every document of the checkout as a site, with a menu and a search, into dist/site, and
# checks every link and heading first. The tools are those of requirements.txt, from PyPI.
#
#   site/build.sh [links]     with 'links' nothing is written
set -euo pipefail
cd "$(dirname "$0")/.."

[[ $# -eq 0 || $* == links ]] || { echo "site: no such option: $*" >&2; exit 2; }
git rev-parse --git-dir >/dev/null || { echo 'site: this is no checkout of git, which knows the documents; clone the repository' >&2; exit 2; }
tools=bin/site-$(sha256sum site/requirements.txt | cut -c1-12)
if [[ ! -e $tools/ready ]]; then
  rm -rf bin/site-*
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: --requirement site/requirements.txt
  : >"$tools/ready"
fi

mapfile -t documents < <(git ls-files --cached --others --exclude-standard -- '*.md' ':!test/*/testdata')
lychee() { "$tools/bin/lychee" --offline --include-fragments --no-progress --quiet "$@"; }
lychee "${documents[@]}"
[[ ${1-} != links ]] || exit 0

# The pages keep their places, so that their links lead where they do in the checkout.
source=dist/site-source
rm -rf "$source" dist/site
mkdir -p "$source"
tar --create "${documents[@]}" LICENSE docs/images examples | tar --extract --directory "$source"

# The menu is the map of docs/README.md: a group for each heading, a page for each line.
menu() {
  awk '
    /^## / { if (open) print "  ]},"; print "  {\"" substr($0, 4) "\" = ["; open = 1 }
    open && match($0, /^- \[[^]]*\]\([^)]*\)/) {
      split(substr($0, 4, RLENGTH - 4), part, "\\]\\(")
      path = part[2] ~ /^\.\.\// ? substr(part[2], 4) : "docs/" part[2]
      print "    {\"" part[1] "\" = \"" path "\"},"
    }
    END { if (open) print "  ]}," }' docs/README.md
}
{
  cat site/zensical.toml
  printf 'docs_dir = "site-source"\nsite_dir = "site"\nnav = [\n'
  menu
  echo ']'
} >dist/zensical.toml
"$tools/bin/zensical" build --strict --clean --config-file dist/zensical.toml >dist/site.log 2>&1 ||
  { cat dist/site.log >&2; exit 1; }
lychee --root-dir "$PWD/dist/site" --index-files index.html --exclude-path 404.html dist/site # headings get other names there
for page in index.html docs/install/index.html docs/adr/index.html search.json; do
  [[ -s dist/site/$page ]] || { echo "site: $page was not written" >&2; exit 1; }
done
echo "dist/site: $(find dist/site -name index.html | wc -l) pages; look at them with: python3 -m http.server --directory dist/site"
