// What no schema can say of a Web: its range is in order.
package main

import (
	"strconv"

	"portcullis.dev/sdk/objectvalidator"
	"portcullis.dev/sdk/portcullis"
)

var paths = []string{"/object/spec/min", "/object/spec/max"}

func check(_ struct{}, values portcullis.Values) []objectvalidator.FieldError {
	least, isLeast := values[0].Int()
	most, isMost := values[1].Int()
	if isLeast && isMost && most < least {
		return []objectvalidator.FieldError{{
			Type: objectvalidator.Invalid, Field: "spec.max", JSON: strconv.FormatInt(most, 10), Detail: "must be at least spec.min",
		}}
	}
	return nil
}

func init() { objectvalidator.Serve(paths, check) }

func main() {}
