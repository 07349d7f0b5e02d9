//go:build tools

// Package tools keeps Helm in go.mod, whose sums pin it.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
