package portcullis

import (
	"bytes"
	"encoding/binary"
	"math"
)

// Value is a value inside a tape (wit/tape.md), or absent, which is not null. It is read in place.
type Value struct {
	tape []byte
	at   uint32
}

const (
	tagNull = iota + 1
	tagFalse
	tagTrue
	tagInt
	tagUint
	tagFloat
	tagString
	tagArray
	tagObject
)

// Root is the value of a whole tape.
func Root(tape []byte) Value { return Value{tape, binary.LittleEndian.Uint32(tape[12:])} }

func (v Value) word(index uint32) uint32 { return binary.LittleEndian.Uint32(v.tape[v.at+4*index:]) }

func (v Value) head() (tag, count uint32) {
	if v.at == 0 {
		return 0, 0
	}
	head := v.word(0)
	return head & 15, head >> 4
}

func (v Value) child(index uint32) Value { return Value{v.tape, v.at - v.word(index)} }

func (v Value) text() []byte {
	_, count := v.head()
	return v.tape[v.at+4 : v.at+4+count]
}

// IsAbsent says whether there is no value here.
func (v Value) IsAbsent() bool {
	tag, _ := v.head()
	return tag == 0
}

// String is the text, or the empty one if this is no string.
func (v Value) String() string {
	if tag, _ := v.head(); tag == tagString {
		return string(v.text())
	}
	return ""
}

// Bool is whether this is true.
func (v Value) Bool() bool {
	tag, _ := v.head()
	return tag == tagTrue
}

// Int is the integer, if this is one that fits.
func (v Value) Int() (int64, bool) {
	tag, _ := v.head()
	if tag != tagInt {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint64(v.tape[v.at+4:])), true
}

// Len is how many items an array or members an object has; 0 for all else.
func (v Value) Len() int {
	if tag, count := v.head(); tag == tagArray || tag == tagObject {
		return int(count)
	}
	return 0
}

// At is an item of an array, or absent.
func (v Value) At(index int) Value {
	if tag, count := v.head(); tag == tagArray && index >= 0 && index < int(count) {
		return v.child(1 + uint32(index))
	}
	return Value{}
}

// Get is a member of an object, or absent.
func (v Value) Get(key string) Value {
	tag, count := v.head()
	if tag != tagObject {
		return Value{}
	}
	// Keys are in the order of their bytes.
	for low, high := uint32(0), count; low < high; {
		middle := (low + high) / 2
		switch bytes.Compare(v.child(1+2*middle).text(), []byte(key)) {
		case 0:
			return v.child(2 + 2*middle)
		case -1:
			low = middle + 1
		default:
			high = middle
		}
	}
	return Value{}
}

// Items are the items of an array.
func (v Value) Items() []Value {
	items := make([]Value, 0, v.Len())
	if tag, _ := v.head(); tag == tagArray {
		for index := range v.Len() {
			items = append(items, v.At(index))
		}
	}
	return items
}

// Members calls a function for each member of an object, in the order of the keys.
func (v Value) Members(each func(key string, value Value)) {
	tag, count := v.head()
	for index := uint32(0); tag == tagObject && index < count; index++ {
		each(string(v.child(1+2*index).text()), v.child(2+2*index))
	}
}

// Any is the whole value as encoding/json has it, but for integers, which stay such.
func (v Value) Any() any {
	tag, _ := v.head()
	switch tag {
	case tagFalse, tagTrue:
		return tag == tagTrue
	case tagInt:
		return int64(binary.LittleEndian.Uint64(v.tape[v.at+4:]))
	case tagUint:
		return binary.LittleEndian.Uint64(v.tape[v.at+4:])
	case tagFloat:
		return math.Float64frombits(binary.LittleEndian.Uint64(v.tape[v.at+4:]))
	case tagString:
		return v.String()
	case tagArray:
		list := make([]any, 0, v.Len())
		for _, item := range v.Items() {
			list = append(list, item.Any())
		}
		return list
	case tagObject:
		members := make(map[string]any, v.Len())
		v.Members(func(key string, value Value) { members[key] = value.Any() })
		return members
	}
	return nil
}
