// The tape reader of the Go SDK against the vectors, which come on the standard input. It is compiled beside the reader.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
)

func show(value Value) string {
	tag, _ := value.head()
	switch tag {
	case 0:
		return "absent"
	case tagNull:
		return "null"
	case tagString:
		return `"` + value.String() + `"`
	case tagArray:
		var items []string
		for _, item := range value.Items() {
			items = append(items, show(item))
		}
		return "[" + strings.Join(items, ",") + "]"
	case tagObject:
		var members []string
		value.Members(func(key string, member Value) {
			if value.Get(key).at != member.at {
				panic("not found by its key: " + key)
			}
			members = append(members, `"`+key+`":`+show(member))
		})
		return "{" + strings.Join(members, ",") + "}"
	}
	return fmt.Sprint(value.Any())
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	count := 0
	for ; lines.Scan(); count++ {
		data, expected, _ := strings.Cut(lines.Text(), "\t")
		bytes, _ := hex.DecodeString(data)
		if found := show(Root(bytes)); found != expected {
			fmt.Printf("expected %s, got %s\n", expected, found)
			os.Exit(1)
		}
	}
	fmt.Printf("%d tapes\n", count)
}
