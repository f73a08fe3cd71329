// Package objectvalidator serves object validators.
package objectvalidator

import (
	"unsafe"

	"portcullis.dev/sdk/portcullis"
)

// ErrorType is what is wrong with a field.
type ErrorType byte

// The types.
const (
	Required ErrorType = iota
	Invalid
	NotSupported
	Duplicate
	Forbidden
	NotFound
	TooLong
	TooMany
	TypeInvalid
)

// FieldError is one error. JSON is the value found, as text.
type FieldError struct {
	Type                ErrorType
	Field, JSON, Detail string
}

var (
	configure func(text unsafe.Pointer, size uint32) unsafe.Pointer
	answer    func(input []byte) unsafe.Pointer
)

//go:wasmexport portcullis:policy/object-validator@0.1.0#configure
func exportConfigure(text unsafe.Pointer, size uint32) unsafe.Pointer {
	return configure(text, size)
}

//go:wasmexport portcullis:policy/object-validator@0.1.0#validate-object
func exportAnswer(input unsafe.Pointer, size uint32) unsafe.Pointer {
	return answer(portcullis.Begin(input, size))
}

//go:wasmexport cabi_post_portcullis:policy/object-validator@0.1.0#validate-object
func exportEnd(unsafe.Pointer) { portcullis.End() }

// Serve makes a validator of objects of a function. It is given `spec.config` of the Plugin, and a value for each path.
func Serve[C any](paths []string, decide func(config C, values portcullis.Values) []FieldError) {
	var config C
	configure = func(text unsafe.Pointer, size uint32) unsafe.Pointer {
		return portcullis.Configure(&config, text, size, paths)
	}
	answer = func(input []byte) unsafe.Pointer {
		var record portcullis.Record
		said := decide(config, portcullis.Split(input, paths))
		portcullis.List(&record, said, func(item *portcullis.Record, one FieldError) {
			item.Byte(byte(one.Type)).String(one.Field).String(one.JSON).String(one.Detail)
		})
		record.Strings(nil)
		return record.Pointer()
	}
}
