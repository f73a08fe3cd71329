// Package authenticator serves authenticators.
package authenticator

import (
	"unsafe"

	"portcullis.dev/sdk/portcullis"
)

// User is a caller.
type User struct {
	Username, UID string
	Groups        []string
	Extra         map[string][]string
}

// Outcome is the answer; the zero one is no opinion.
type Outcome struct {
	User     *User
	Rejected string
}

var (
	configure func(text unsafe.Pointer, size uint32) unsafe.Pointer
	answer    func(input []byte) unsafe.Pointer
)

//go:wasmexport portcullis:policy/authenticator@0.1.0#configure
func exportConfigure(text unsafe.Pointer, size uint32) unsafe.Pointer {
	return configure(text, size)
}

//go:wasmexport portcullis:policy/authenticator@0.1.0#authenticate
func exportAnswer(input unsafe.Pointer, size uint32) unsafe.Pointer {
	return answer(portcullis.Begin(input, size))
}

//go:wasmexport cabi_post_portcullis:policy/authenticator@0.1.0#authenticate
func exportEnd(unsafe.Pointer) { portcullis.End() }

// Serve makes a authenticator of a function. It is given `spec.config` of the Plugin, and a value for each path.
func Serve[C any](paths []string, decide func(config C, values portcullis.Values) Outcome) {
	var config C
	configure = func(text unsafe.Pointer, size uint32) unsafe.Pointer {
		return portcullis.Configure(&config, text, size, paths)
	}
	answer = func(input []byte) unsafe.Pointer {
		var record portcullis.Record
		said := decide(config, portcullis.Split(input, paths))
		switch {
		case said.User != nil:
			record.Byte(0).Align().String(said.User.Username).String(said.User.UID).Strings(said.User.Groups)
			keys := make([]string, 0, len(said.User.Extra))
			for key := range said.User.Extra {
				keys = append(keys, key)
			}
			portcullis.List(&record, keys, func(item *portcullis.Record, key string) {
				item.String(key).Strings(said.User.Extra[key])
			})
		case said.Rejected != "":
			record.Byte(2).Align().String(said.Rejected).String("").String("").String("")
		default:
			record.Byte(1).Align().String("").String("").String("").String("")
		}
		return record.Pointer()
	}
}
