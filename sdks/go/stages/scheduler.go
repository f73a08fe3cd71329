// Pods that name a zone run there, on the node with the fewest pods.
package main

import (
	"slices"

	"portcullis.dev/sdk/portcullis"
	"portcullis.dev/sdk/scheduler"
)

// Config is what `spec.config` of the Plugin holds.
type Config struct {
	Label string `json:"label"`
}

var (
	paths     = []string{"/pod/metadata/labels"}
	nodePaths = []string{"/metadata/labels"}
)

func place(config Config, nodes scheduler.Nodes, values portcullis.Values) scheduler.Placement {
	wanted := values[0].Get(config.Label).String()
	pods := slices.Index(nodes.Resources, "pods") * nodes.Count
	placement := scheduler.Placement{Scores: make([]int64, nodes.Count), Reasons: []string{"node(s) in another zone"}}
	for node := range nodes.Count {
		zone := nodes.Values.At(node).At(0).Get(config.Label).String()
		all, taken := nodes.Allocatable[pods+node], nodes.Requested[pods+node]
		if wanted != "" && zone != wanted {
			placement.Scores[node] = -1
		} else if all > taken {
			placement.Scores[node] = (all - taken) * 100 / all
		}
	}
	return placement
}

func init() { scheduler.Serve(paths, nodePaths, place) }

func main() {}
