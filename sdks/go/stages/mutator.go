// Pods take a label of their namespace, unless they have one of their own.
package main

import (
	"encoding/json"
	"strings"

	"portcullis.dev/sdk/mutator"
	"portcullis.dev/sdk/portcullis"
)

// Config is what `spec.config` of the Plugin holds.
type Config struct {
	Label string `json:"label"`
}

var paths = []string{"/object/metadata/labels", "/namespaceObject/metadata/labels"}

func mutate(config Config, values portcullis.Values) mutator.Mutation {
	own, inherited := values[0], values[1].Get(config.Label).String()
	if inherited == "" || !own.Get(config.Label).IsAbsent() {
		return mutator.Mutation{}
	}
	path, value := "/metadata/labels", any(map[string]string{config.Label: inherited})
	if !own.IsAbsent() {
		path += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(config.Label)
		value = inherited
	}
	text, _ := json.Marshal(value)
	return mutator.Mutation{Patch: []mutator.Operation{{Op: mutator.Add, Path: path, JSON: string(text)}}}
}

func init() { mutator.Serve(paths, mutate) }

func main() {}
