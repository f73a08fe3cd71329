// Package portcullis is what policies in Go share: values, answers, and the way they cross. A policy uses it with the
// package of its stage:
//
//	func init() { validator.Serve([]string{"/object/metadata/labels"}, check) }
//	func main() {}
package portcullis

import (
	"encoding/binary"
	"encoding/json"
	"runtime"
	"runtime/debug"
	"unsafe"
)

// Cause ties a refusal to a field.
type Cause struct{ Field, Reason, Message string }

// Denial is a refusal; the zero code stands for 403.
type Denial struct {
	Code            uint16
	Reason, Message string
	Causes          []Cause
}

// Deny is a refusal with a sentence that tells the caller what to change.
func Deny(message string) *Denial { return &Denial{Message: message} }

// Values are the values of a call, one for each declared path.
type Values []Value

// ---- The way in and out: the canonical ABI, written by hand.
//
// The collector never runs by itself: it must not start while the host waits for memory. Every so many calls it is told
// to, in the middle of a call.

const callsBetweenCollections = 500

var (
	calls int
	// What the host put into our memory for the present call, and what we put there for the host.
	kept []any
)

func init() { debug.SetGCPercent(-1) }

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	at := alloc(size)
	if old != nil {
		copy(unsafe.Slice((*byte)(at), size), unsafe.Slice((*byte)(old), oldSize))
	}
	return at
}

// alloc gives memory that stays until the next call, at a multiple of 8.
func alloc(size uint32) unsafe.Pointer {
	words := make([]uint64, size/8+1)
	kept = append(kept, words)
	return unsafe.Pointer(unsafe.SliceData(words))
}

// Begin starts a call: what was kept for the one before is let go of, but for the input.
func Begin(input unsafe.Pointer, size uint32) []byte {
	if calls++; calls%callsBetweenCollections == 0 {
		runtime.GC()
	}
	return unsafe.Slice((*byte)(input), size)
}

// End lets go of what a call has taken. The host calls it when it has read the answer.
func End() { kept = kept[:0] }

// Split takes an input apart.
func Split(input []byte, paths []string) Values {
	root, values := Root(input), make(Values, len(paths))
	for index := range values {
		values[index] = root.At(index)
	}
	return values
}

// Record is a record in memory, written field after field as the canonical ABI lays it out.
type Record struct{ bytes []byte }

func (r *Record) pad(align int) *Record {
	for len(r.bytes)%align != 0 {
		r.bytes = append(r.bytes, 0)
	}
	return r
}

// Byte appends a flag, an enumeration or the tag of a variant.
func (r *Record) Byte(value byte) *Record {
	r.bytes = append(r.bytes, value)
	return r
}

// Uint16 appends a number.
func (r *Record) Uint16(value uint16) *Record {
	r.bytes = binary.LittleEndian.AppendUint16(r.pad(2).bytes, value)
	return r
}

// Uint32 appends a number.
func (r *Record) Uint32(value uint32) *Record {
	r.bytes = binary.LittleEndian.AppendUint32(r.pad(4).bytes, value)
	return r
}

// Align fills up to the next word, where a record begins.
func (r *Record) Align() *Record { return r.pad(4) }

// String appends a text.
func (r *Record) String(text string) *Record {
	kept = append(kept, text)
	return r.Uint32(uint32(uintptr(unsafe.Pointer(unsafe.StringData(text))))).Uint32(uint32(len(text)))
}

// Strings appends a list of texts.
func (r *Record) Strings(list []string) *Record {
	return List(r, list, func(item *Record, text string) { item.String(text) })
}

// Ints appends a list of numbers.
func (r *Record) Ints(list []int64) *Record {
	kept = append(kept, list)
	return r.Uint32(uint32(uintptr(unsafe.Pointer(unsafe.SliceData(list))))).Uint32(uint32(len(list)))
}

// Pointer puts the record where the host can read it.
func (r *Record) Pointer() unsafe.Pointer {
	at := alloc(uint32(len(r.bytes)))
	copy(unsafe.Slice((*byte)(at), len(r.bytes)), r.bytes)
	return at
}

// List appends a list of records, each of which is made of words at its end.
func List[T any](r *Record, list []T, write func(*Record, T)) *Record {
	var items Record
	for _, item := range list {
		write(items.Align(), item)
		items.Align()
	}
	return r.Uint32(uint32(uintptr(items.Pointer()))).Uint32(uint32(len(list)))
}

// Denied appends an optional refusal.
func (r *Record) Denied(denial *Denial) *Record {
	if denial == nil {
		denial = &Denial{}
		r.Byte(0)
	} else {
		r.Byte(1)
	}
	r.Align().Uint16(denial.Code).String(denial.Reason).String(denial.Message)
	return List(r, denial.Causes, func(item *Record, cause Cause) {
		item.String(cause.Field).String(cause.Reason).String(cause.Message)
	})
}

// Audit appends facts for the audit log.
func (r *Record) Audit(facts map[string]string) *Record {
	keys := make([]string, 0, len(facts))
	for key := range facts {
		keys = append(keys, key)
	}
	return List(r, keys, func(item *Record, key string) { item.String(key).String(facts[key]) })
}

// Configure reads a configuration, and answers with a declaration or a refusal.
func Configure[C any](into *C, text unsafe.Pointer, size uint32, lists ...[]string) unsafe.Pointer {
	var answer Record
	if err := json.Unmarshal(unsafe.Slice((*byte)(text), size), into); err != nil {
		answer.Byte(1).Align().String("config: " + err.Error())
	} else {
		answer.Byte(0).Align()
		for _, paths := range lists {
			answer.Strings(paths)
		}
		answer.Byte(0).Align()
	}
	return answer.Pointer()
}

// Level says how much a line of the log matters.
type Level uint32

// The levels.
const (
	Debug Level = iota
	Info
	Warn
	Error
)

//go:wasmimport portcullis:policy/log@0.1.0 write
func write(level uint32, text unsafe.Pointer, size uint32)

// Log writes a line to the plugin's log.
func Log(level Level, line string) {
	write(uint32(level), unsafe.Pointer(unsafe.StringData(line)), uint32(len(line)))
}
