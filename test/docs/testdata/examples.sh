# What the examples of the programs' help begin with, besides the export files.
export PASSWORD=correct-horse-battery
cp connections.json connections.yaml
cp variables.json variables.yaml
printf north > region.txt
mkdir -p /run/app
head -c 32 /dev/urandom | base64 > jwt.key
head -c 32 /dev/urandom | base64 > seal.key
core seal --seal-key-file seal.key --connections connections.json > sealed.json
mkdir main branch
cp connections.json variables.json rules.yaml main
cp connections.json variables.json rules.yaml branch
: > audit.jsonl
