// Every pod says whose it is: it carries the label `team`.
package main

import (
	"portcullis.dev/sdk/portcullis"
	"portcullis.dev/sdk/validator"
)

func check(_ struct{}, values portcullis.Values) validator.Verdict {
	team := values[0].String()
	if team == "" {
		return validator.Verdict{Denied: portcullis.Deny(`every pod carries the label "team": whose is this one?`)}
	}
	return validator.Verdict{Audit: map[string]string{"team": team}}
}

func init() { validator.Serve([]string{"/object/metadata/labels/team"}, check) }

func main() {}
