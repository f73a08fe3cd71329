// Every pod says whose it is: it carries a label.
package main

import (
	"fmt"

	"portcullis.dev/sdk/portcullis"
	"portcullis.dev/sdk/validator"
)

// Config is what `spec.config` of the Plugin holds.
type Config struct {
	Label string `json:"label"`
}

// What is read of the request; `values` has a value for each path.
var paths = []string{"/object/metadata/labels"}

func check(config Config, values portcullis.Values) validator.Verdict {
	owner := values[0].Get(config.Label).String()
	if owner == "" {
		message := fmt.Sprintf("every pod carries the label %q: whose is this one?", config.Label)
		return validator.Verdict{Denied: portcullis.Deny(message)}
	}
	return validator.Verdict{Audit: map[string]string{"owner": owner}}
}

func init() { validator.Serve(paths, check) }

func main() {}
