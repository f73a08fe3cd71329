// Webs have `spec.size` in v1, and `spec.replicas` in v2.
package main

import (
	"fmt"

	"portcullis.dev/sdk/converter"
)

var names = map[string][2]string{"example.com/v1": {"replicas", "size"}, "example.com/v2": {"size", "replicas"}}

func convert(_ struct{}, object map[string]any, wanted string) (map[string]any, error) {
	pair, known := names[wanted]
	if !known {
		return nil, fmt.Errorf("there is no Web in %s", wanted)
	}
	if spec, ok := object["spec"].(map[string]any); ok {
		if value, ok := spec[pair[0]]; ok {
			spec[pair[1]] = value
			delete(spec, pair[0])
		}
	}
	return object, nil
}

func init() { converter.Serve(convert) }

func main() {}
