//go:build tools

// Names helm as a dependency, so that `go build helm.sh/helm/v3/cmd/helm` takes the version of go.mod.
package tools

import _ "helm.sh/helm/v3/cmd/helm"
