# Images and chart are signed by that key, and by no other.
while read -r ref; do
  "$COSIGN" verify --key cosign.pub --insecure-ignore-tlog --allow-http-registry "$ref" >/dev/null
done <"$ROOT/dist/release-refs.txt"
mkdir other
(cd other && "$COSIGN" generate-key-pair)
if "$COSIGN" verify --key other/cosign.pub --insecure-ignore-tlog --allow-http-registry "$(head -n 1 "$ROOT/dist/release-refs.txt")"; then
  echo "any key verifies" >&2
  exit 1
fi
