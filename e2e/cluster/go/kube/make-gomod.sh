#!/usr/bin/env bash
# Writes go.mod and go.sum of this folder for Kubernetes $1 (1.36.3). Kubernetes' own module points its staging modules at
# folders beside it, so every k8s.io module at v0.0.0 needs a replacement by the published v0.<minor>.<patch>.
set -euo pipefail
cd "$(dirname "$0")"
version=${1:?version, like 1.36.3}
mod=$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p')
{
  printf 'module nexus.io/e2e/kube\n\ngo 1.26\n\nrequire k8s.io/kubernetes v%s\n\nreplace (\n' "$version"
  awk '$1 ~ /^k8s.io\// && $2 == "v0.0.0" {print $1}' "$mod" | sort -u | sed "s#.*#\t& => & v0.${version#1.}#"
  printf ')\n'
} > go.mod
go mod tidy
