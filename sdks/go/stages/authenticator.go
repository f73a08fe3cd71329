// A proxy in front of the cluster has authenticated the caller, and says so in headers. They count only on a connection
// with the proxy's client certificate.
package main

import (
	"fmt"
	"strings"

	"portcullis.dev/sdk/authenticator"
	"portcullis.dev/sdk/portcullis"
)

// Config is what `spec.config` of the Plugin holds.
type Config struct {
	Proxy string `json:"proxy"`
}

var paths = []string{
	"/tls/peerCertificates/0/subject/commonName",
	"/request/headers/x-remote-user/0",
	"/request/headers/x-remote-group",
}

func authenticate(config Config, values portcullis.Values) authenticator.Outcome {
	proxy, user := values[0].String(), values[1].String()
	if config.Proxy == "" || proxy != config.Proxy || user == "" {
		return authenticator.Outcome{}
	}
	found := authenticator.User{Username: user}
	for _, item := range values[2].Items() {
		group := item.String()
		if strings.HasPrefix(group, "system:") {
			return authenticator.Outcome{Rejected: fmt.Sprintf("%s may not say that %s is in %s", proxy, user, group)}
		}
		found.Groups = append(found.Groups, group)
	}
	return authenticator.Outcome{User: &found}
}

func init() { authenticator.Serve(paths, authenticate) }

func main() {}
