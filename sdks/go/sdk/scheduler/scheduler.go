// Package scheduler serves scheduler policies.
package scheduler

import (
	"unsafe"

	"portcullis.dev/sdk/portcullis"
)

// Nodes are the nodes of a call, as columns: `column[resource*Count+node]`.
type Nodes struct {
	Count                            int
	Resources                        []string
	Requests, Allocatable, Requested []int64
	// An array with an array of values for each node.
	Values portcullis.Value
}

// Placement is the answer: a score for each node, -1-i where Reasons[i] rules it out.
type Placement struct {
	Scores  []int64
	Reasons []string
}

var (
	configure func(text unsafe.Pointer, size uint32) unsafe.Pointer
	answer    func(input []byte, nodes Nodes) unsafe.Pointer
)

//go:wasmexport portcullis:policy/scheduler@0.1.0#configure
func exportConfigure(text unsafe.Pointer, size uint32) unsafe.Pointer {
	return configure(text, size)
}

func ints(at unsafe.Pointer, count uint32) []int64 { return unsafe.Slice((*int64)(at), count) }

//go:wasmexport portcullis:policy/scheduler@0.1.0#place
func exportAnswer(input unsafe.Pointer, size, count uint32, resources unsafe.Pointer, resourcesLen uint32,
	requests unsafe.Pointer, requestsLen uint32, allocatable unsafe.Pointer, allocatableLen uint32,
	requested unsafe.Pointer, requestedLen uint32, packed unsafe.Pointer, packedLen uint32) unsafe.Pointer {
	bytes := portcullis.Begin(input, size)
	nodes := Nodes{
		Count: int(count), Requests: ints(requests, requestsLen), Allocatable: ints(allocatable, allocatableLen),
		Requested: ints(requested, requestedLen), Values: portcullis.Root(unsafe.Slice((*byte)(packed), packedLen)),
	}
	for _, pair := range unsafe.Slice((*[2]uint32)(resources), resourcesLen) {
		text := unsafe.Slice((*byte)(unsafe.Pointer(uintptr(pair[0]))), pair[1])
		nodes.Resources = append(nodes.Resources, string(text))
	}
	return answer(bytes, nodes)
}

//go:wasmexport cabi_post_portcullis:policy/scheduler@0.1.0#place
func exportEnd(unsafe.Pointer) { portcullis.End() }

// Serve makes a scheduler policy of a function, with the paths of `{"pod": ..}` and those of each node.
func Serve[C any](paths, nodePaths []string, place func(config C, nodes Nodes, values portcullis.Values) Placement) {
	var config C
	configure = func(text unsafe.Pointer, size uint32) unsafe.Pointer {
		return portcullis.Configure(&config, text, size, paths, nodePaths)
	}
	answer = func(input []byte, nodes Nodes) unsafe.Pointer {
		var record portcullis.Record
		said := place(config, nodes, portcullis.Split(input, paths))
		return record.Ints(said.Scores).Strings(said.Reasons).Pointer()
	}
}
