package via

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// quote returns a value as JSON, which is YAML, too.
func quote(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// nginxAround has what a configuration lacks that is to be included in the http block, as
// the files in conf.d are.
const nginxAround = `worker_processes 2;
error_log stderr warn;
pid /tmp/nginx.pid;
events {}
http {
    access_log off;
    include ` + folder + "/" + included + `;
}
`

// nginxWords splits a configuration of nginx into words, with ; { and } as words of their
// own, and without comments
// (https://nginx.org/en/docs/beginners_guide.html#conf_structure).
func nginxWords(config string) []string {
	var words []string
	var word strings.Builder
	end := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	quoted := rune(0)
	comment, escaped := false, false
	for _, r := range config {
		switch {
		case comment:
			comment = r != '\n'
		case escaped:
			escaped = false
			word.WriteRune(r)
		case r == '\\':
			escaped = true
			word.WriteRune(r)
		case quoted != 0:
			if r == quoted {
				quoted = 0
			} else {
				word.WriteRune(r)
			}
		case (r == '"' || r == '\'') && word.Len() == 0:
			quoted = r
		case r == '#' && word.Len() == 0:
			comment = true
		case r == '{' && strings.HasSuffix(word.String(), "$"):
			word.WriteRune(r) // ${variable}
		case r == '}' && strings.Contains(word.String(), "${"):
			word.WriteRune(r)
		case r == ';' || r == '{' || r == '}':
			end()
			words = append(words, string(r))
		case r == ' ' || r == '\t' || r == '\n' || r == '\r':
			end()
		default:
			word.WriteRune(r)
		}
	}
	end()
	return words
}

// A directive is one of nginx's, with the blocks that it is in.
type directive struct {
	words []string
	in    []string
}

func nginxDirectives(config string) []directive {
	var all []directive
	var in, words []string
	for _, w := range nginxWords(config) {
		switch w {
		case ";", "{":
			if len(words) > 0 {
				all = append(all, directive{words, slices.Clone(in)})
			}
			if w == "{" {
				name := ""
				if len(words) > 0 {
					name = words[0]
				}
				in = append(in, name)
			}
			words = nil
		case "}":
			if len(in) > 0 {
				in = in[:len(in)-1]
			}
			words = nil
		default:
			words = append(words, w)
		}
	}
	return all
}

func nginxHas(config, name string) bool {
	return slices.ContainsFunc(nginxDirectives(config), func(d directive) bool { return d.words[0] == name })
}

func isNginx(config string) (is, whole bool) {
	// Each of these is a block of nginx; Caddy and others have none of them at the top.
	for _, d := range nginxDirectives(config) {
		if len(d.in) > 0 || len(d.words) == 0 {
			continue
		}
		switch d.words[0] {
		case "http", "events":
			return true, true
		case "server", "upstream":
			is = true
		}
	}
	return is, false
}

func nginxPort(config string) (int, error) {
	for _, d := range nginxDirectives(config) {
		if d.words[0] != "listen" || len(d.words) < 2 || slices.Contains(d.in, "stream") || slices.Contains(d.in, "mail") {
			continue
		}
		if strings.HasPrefix(d.words[1], "unix:") {
			continue
		}
		text := d.words[1]
		if _, port, err := net.SplitHostPort(text); err == nil {
			text = port
		} else if strings.Contains(text, ".") || strings.HasPrefix(text, "[") || !isNumber(text) {
			text = "80" // an address alone
		}
		return parsePort(text)
	}
	return 0, errors.New("no server listens")
}

func isNumber(text string) bool {
	_, err := strconv.Atoi(text)
	return err == nil
}

func parsePort(text string) (int, error) {
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return 0, fmt.Errorf("%q is no port", text)
	}
	return port, nil
}

// A section is one of a configuration of HAProxy.
type section struct {
	name  string
	lines [][]string
}

var haproxySections = []string{"global", "defaults", "frontend", "backend", "listen", "resolvers", "userlist", "peers", "cache", "program", "ring", "http-errors", "mailers", "log-forward", "crt-store", "traces"}

func haproxyParse(config string) []section {
	var all []section
	for line := range strings.Lines(config) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case slices.Contains(haproxySections, words[0]) && line[0] != ' ' && line[0] != '\t':
			all = append(all, section{name: words[0]})
		case len(all) > 0:
			s := &all[len(all)-1]
			s.lines = append(s.lines, words)
		}
	}
	return all
}

func haproxyHas(config, name string) bool {
	return slices.ContainsFunc(haproxyParse(config), func(s section) bool { return s.name == name })
}

func isHAProxy(config string) (is, whole bool) {
	is = slices.ContainsFunc(haproxyParse(config), func(s section) bool { return s.name == "frontend" || s.name == "listen" })
	return is, true
}

var bindPort = regexp.MustCompile(`:([0-9]+)$`)

// haproxyPort returns where the first section listens that sends requests on, and does not
// only show statistics.
func haproxyPort(config string) (int, error) {
	for _, s := range haproxyParse(config) {
		if s.name != "frontend" && s.name != "listen" {
			continue
		}
		sends := slices.ContainsFunc(s.lines, func(w []string) bool {
			return w[0] == "default_backend" || w[0] == "use_backend" || w[0] == "server" || w[0] == "server-template"
		})
		if !sends {
			continue
		}
		for _, w := range s.lines {
			if w[0] != "bind" || len(w) < 2 {
				continue
			}
			first, _, _ := strings.Cut(w[1], ",")
			if m := bindPort.FindStringSubmatch(first); m != nil {
				return parsePort(m[1])
			}
		}
	}
	return 0, errors.New("no section with a backend binds a port as a number")
}
