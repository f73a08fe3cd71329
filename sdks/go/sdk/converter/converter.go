// Package converter serves converters.
package converter

import (
	"encoding/json"
	"unsafe"

	"portcullis.dev/sdk/portcullis"
)

var (
	configure func(text unsafe.Pointer, size uint32) unsafe.Pointer
	answer    func(input []byte) unsafe.Pointer
	paths     = []string{"/request/desiredAPIVersion", "/objects"}
)

//go:wasmexport portcullis:policy/converter@0.1.0#configure
func exportConfigure(text unsafe.Pointer, size uint32) unsafe.Pointer {
	return configure(text, size)
}

//go:wasmexport portcullis:policy/converter@0.1.0#convert
func exportAnswer(input unsafe.Pointer, size uint32) unsafe.Pointer {
	return answer(portcullis.Begin(input, size))
}

//go:wasmexport cabi_post_portcullis:policy/converter@0.1.0#convert
func exportEnd(unsafe.Pointer) { portcullis.End() }

// Serve makes a converter of a function, which is given an object and the apiVersion that is wanted, and gives the object
// in that version (apiVersion is set for it), or an error to refuse.
func Serve[C any](convert func(config C, object map[string]any, wanted string) (map[string]any, error)) {
	var config C
	configure = func(text unsafe.Pointer, size uint32) unsafe.Pointer {
		return portcullis.Configure(&config, text, size, paths)
	}
	answer = func(input []byte) unsafe.Pointer {
		var record portcullis.Record
		values := portcullis.Split(input, paths)
		var texts []string
		for _, item := range values[1].Items() {
			object, _ := item.Any().(map[string]any)
			name := item.Get("metadata").Get("name").String()
			object, err := convert(config, object, values[0].String())
			var text []byte
			if err == nil {
				object["apiVersion"] = values[0].String()
				text, err = json.Marshal(object)
			}
			if err != nil {
				return record.Byte(1).Align().String(name + ": " + err.Error()).Pointer()
			}
			texts = append(texts, string(text))
		}
		return record.Byte(0).Align().Strings(texts).Pointer()
	}
}
