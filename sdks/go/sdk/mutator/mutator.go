// Package mutator serves mutators.
package mutator

import (
	"unsafe"

	"portcullis.dev/sdk/portcullis"
)

// Op is what an operation of a patch does (RFC 6902).
type Op byte

// The operations.
const (
	Add Op = iota
	Replace
	Remove
	Test
)

// Operation is one operation on the object. JSON is the new value as text, empty for Remove.
type Operation struct {
	Op         Op
	Path, JSON string
}

// Mutation is the answer: nothing changes, unless there is a patch.
type Mutation struct {
	Denied   *portcullis.Denial
	Patch    []Operation
	Warnings []string
	Audit    map[string]string
}

var (
	configure func(text unsafe.Pointer, size uint32) unsafe.Pointer
	answer    func(input []byte) unsafe.Pointer
)

//go:wasmexport portcullis:policy/mutator@0.1.0#configure
func exportConfigure(text unsafe.Pointer, size uint32) unsafe.Pointer {
	return configure(text, size)
}

//go:wasmexport portcullis:policy/mutator@0.1.0#mutate
func exportAnswer(input unsafe.Pointer, size uint32) unsafe.Pointer {
	return answer(portcullis.Begin(input, size))
}

//go:wasmexport cabi_post_portcullis:policy/mutator@0.1.0#mutate
func exportEnd(unsafe.Pointer) { portcullis.End() }

// Serve makes a mutator of a function. It is given `spec.config` of the Plugin, and a value for each path.
func Serve[C any](paths []string, decide func(config C, values portcullis.Values) Mutation) {
	var config C
	configure = func(text unsafe.Pointer, size uint32) unsafe.Pointer {
		return portcullis.Configure(&config, text, size, paths)
	}
	answer = func(input []byte) unsafe.Pointer {
		var record portcullis.Record
		said := decide(config, portcullis.Split(input, paths))
		record.Denied(said.Denied)
		portcullis.List(&record, said.Patch, func(item *portcullis.Record, one Operation) {
			item.Byte(byte(one.Op)).String(one.Path).String(one.JSON)
		})
		record.Strings(said.Warnings).Audit(said.Audit)
		return record.Pointer()
	}
}
