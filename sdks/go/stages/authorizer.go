// Nothing changes in a frozen namespace, whatever RBAC allows.
package main

import (
	"slices"

	"portcullis.dev/sdk/authorizer"
	"portcullis.dev/sdk/portcullis"
)

// Config is what `spec.config` of the Plugin holds.
type Config struct {
	Frozen []string `json:"frozen"`
}

var paths = []string{"/request/verb", "/request/namespace"}

func authorize(config Config, values portcullis.Values) authorizer.Decision {
	verb, namespace := values[0].String(), values[1].String()
	reads := slices.Contains([]string{"get", "list", "watch"}, verb)
	if !reads && slices.Contains(config.Frozen, namespace) {
		return authorizer.Deny("the namespace " + namespace + " is frozen")
	}
	return authorizer.NoOpinion
}

func init() { authorizer.Serve(paths, authorize) }

func main() {}
