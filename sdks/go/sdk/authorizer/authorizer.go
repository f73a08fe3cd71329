// Package authorizer serves authorizers.
package authorizer

import (
	"unsafe"

	"portcullis.dev/sdk/portcullis"
)

// Decision is the answer; the zero one is no opinion.
type Decision struct {
	tag byte
	why string
}

// The decisions.
var (
	NoOpinion = Decision{}
	Allow     = Decision{tag: 1}
)

// Deny refuses the request with a reason.
func Deny(why string) Decision { return Decision{tag: 2, why: why} }

var (
	configure func(text unsafe.Pointer, size uint32) unsafe.Pointer
	answer    func(input []byte) unsafe.Pointer
)

//go:wasmexport portcullis:policy/authorizer@0.1.0#configure
func exportConfigure(text unsafe.Pointer, size uint32) unsafe.Pointer {
	return configure(text, size)
}

//go:wasmexport portcullis:policy/authorizer@0.1.0#authorize
func exportAnswer(input unsafe.Pointer, size uint32) unsafe.Pointer {
	return answer(portcullis.Begin(input, size))
}

//go:wasmexport cabi_post_portcullis:policy/authorizer@0.1.0#authorize
func exportEnd(unsafe.Pointer) { portcullis.End() }

// Serve makes a authorizer of a function. It is given `spec.config` of the Plugin, and a value for each path.
func Serve[C any](paths []string, decide func(config C, values portcullis.Values) Decision) {
	var config C
	configure = func(text unsafe.Pointer, size uint32) unsafe.Pointer {
		return portcullis.Configure(&config, text, size, paths)
	}
	answer = func(input []byte) unsafe.Pointer {
		var record portcullis.Record
		said := decide(config, portcullis.Split(input, paths))
		// In the interface: allow, deny, no opinion.
		record.Byte([]byte{2, 0, 1}[said.tag]).Align().String(said.why)
		return record.Pointer()
	}
}
