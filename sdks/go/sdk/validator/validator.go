// Package validator serves validators.
package validator

import (
	"unsafe"

	"portcullis.dev/sdk/portcullis"
)

// Verdict is the answer: no objection, unless it is denied.
type Verdict struct {
	Denied   *portcullis.Denial
	Warnings []string
	Audit    map[string]string
}

var (
	configure func(text unsafe.Pointer, size uint32) unsafe.Pointer
	answer    func(input []byte) unsafe.Pointer
)

//go:wasmexport portcullis:policy/validator@0.1.0#configure
func exportConfigure(text unsafe.Pointer, size uint32) unsafe.Pointer {
	return configure(text, size)
}

//go:wasmexport portcullis:policy/validator@0.1.0#validate
func exportAnswer(input unsafe.Pointer, size uint32) unsafe.Pointer {
	return answer(portcullis.Begin(input, size))
}

//go:wasmexport cabi_post_portcullis:policy/validator@0.1.0#validate
func exportEnd(unsafe.Pointer) { portcullis.End() }

// Serve makes a validator of a function. It is given `spec.config` of the Plugin, and a value for each path.
func Serve[C any](paths []string, decide func(config C, values portcullis.Values) Verdict) {
	var config C
	configure = func(text unsafe.Pointer, size uint32) unsafe.Pointer {
		return portcullis.Configure(&config, text, size, paths)
	}
	answer = func(input []byte) unsafe.Pointer {
		var record portcullis.Record
		said := decide(config, portcullis.Split(input, paths))
		record.Denied(said.Denied).Strings(said.Warnings).Audit(said.Audit)
		return record.Pointer()
	}
}
