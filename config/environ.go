package config

import (
	"regexp"
	"strings"
)

// serviceLink matches the variables that Kubernetes sets in every pod for each Service of
// its namespace (enableServiceLinks): those of a Service called "toolset" or "toolset-api"
// start with our prefix.
var serviceLink = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// foreign reports whether a variable with our prefix is not meant as a setting.
func foreign(name string) bool {
	return strings.HasPrefix(name, envPrefix+"TEST_") || // used by the tests of this project
		serviceLink.MatchString(name)
}
