#!/usr/bin/env bash
# Makes an Airflow of an unpacked Debian: the packages of PyPI beside its Python, and what the
# official image has too: the user 50000 of group 0, and /entrypoint. mmdebstrap calls it; see
# build.sh.
set -euo pipefail
root=$1 uv=$2 packages=("${@:3}")

# uv does not run the Python that it installs for: it is told its version.
python=$(readlink "$root/usr/bin/python3")
site=/usr/local/lib/$python/dist-packages
"$uv" pip install --quiet --target "$root$site" --python-version "${python#python}" \
  --python-platform "$(uname -m)-manylinux_2_36" --only-binary :all: --link-mode copy "${packages[@]}"
mv "$root$site"/bin/* "$root/usr/local/bin/"
sed -i '1s,^#!.*python.*,#!/usr/bin/python3,' "$root"/usr/local/bin/*
# Whoever runs it cannot write there, and would compile everything at each start.
chroot "$root" python3 -m compileall -q -j 0 "$site"

# Debian's wrappers look for clusters that Debian made, of which there is none here.
programs=$(cd "$root" && echo usr/lib/postgresql/*/bin)
for program in initdb pg_dump postgres psql; do ln -s "/$programs/$program" "$root/usr/local/bin/"; done
echo 'airflow:x:50000:0::/home/airflow:/bin/bash' >>"$root/etc/passwd"
install -d -o 50000 -g 0 -m 775 "$root"/{opt/airflow,home/airflow}
install -m 755 "$(dirname "$0")/entrypoint.sh" "$root/entrypoint"
rm -rf "$root"/var/lib/postgresql/* "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
