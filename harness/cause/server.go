package cause

import (
	"path"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// A server is a program that serves HTTP, and what its operator must know. Texts are
// sentences; empty ones are as for any server.
type server struct {
	Name string // for people; empty: not recognised

	// words are programs, images and modules that mean this server. products begin the
	// Server header of its responses.
	words, products []string
	// weak: words say only in which language the server is written. What else is known
	// counts more.
	weak bool

	handler string // how it stops gracefully on SIGTERM
	idle    string // how clients learn that they must go, before it closes their connections
	kept    string // how it ends although clients keep connections
	wait    string // how it goes on serving for a while after the signal
	limit   string // what bounds its drain
	errors  string // why it turns requests away while it stops

	// graceful is the signal on which it stops gracefully, if this is not SIGTERM. quit is
	// a shell command that has the same effect.
	graceful, quit string
	// reloads: on SIGTERM it starts anew instead of ending.
	reloads bool
	// ends143: after a graceful stop it exits with 143.
	ends143 bool
}

// recognise returns the server of a target: by the program, by its command line, by what
// its responses say, or by the name of the image.
func recognise(t *record.Target) *server {
	words := wordsOf(t.Command)
	image := imageWords(t.Image)
	program := strings.ToLower(t.Program)
	for _, weak := range []bool{false, true} {
		for _, known := range []func(*server) bool{
			func(s *server) bool {
				return slices.ContainsFunc(s.words, func(w string) bool { return strings.Contains(w, "/") && strings.Contains(program, w) })
			},
			func(s *server) bool { return meets(s.words, words) },
			func(s *server) bool { return announces(s.products, &t.Server) },
			func(s *server) bool { return meets(s.words, image) },
		} {
			for i := range servers {
				if s := &servers[i]; s.weak == weak && known(s) {
					return s
				}
			}
		}
	}
	switch {
	case strings.HasPrefix(program, "go1"):
		return &netHTTP
	// Node sends this header, and no Server.
	case t.Server.Server == "" && strings.HasPrefix(t.Server.KeepAlive, "timeout=") && !strings.Contains(t.Server.KeepAlive, "max="):
		return named("Node.js")
	}
	return &server{}
}

func named(name string) *server {
	for i := range servers {
		if servers[i].Name == name {
			return &servers[i]
		}
	}
	return &server{}
}

func meets(words, found []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(found, w) })
}

func announces(products []string, s *record.Signature) bool {
	for _, header := range []string{s.Server, s.PoweredBy, s.Via} {
		for _, token := range strings.Fields(strings.ToLower(header)) {
			product, _, _ := strings.Cut(token, "/") // its version follows
			if slices.Contains(products, product) {
				return true
			}
		}
	}
	return strings.Contains(strings.ToLower(s.Via), "varnish") && slices.Contains(products, "varnish")
}

// wordsOf returns the names of programs and modules in a command line, in lower case and
// without folders and version numbers: python3.11 is python.
func wordsOf(command []string) []string {
	var out []string
	for _, w := range strings.FieldsFunc(strings.ToLower(strings.Join(command, " ")), func(r rune) bool { return strings.ContainsRune(" \t\n;&|()'\"=", r) }) {
		out = append(out, strings.TrimRight(path.Base(w), "0123456789.-"))
	}
	return out
}

// imageWords returns the parts of an image's name, without registry, tag and digest.
func imageWords(image string) []string {
	image, _, _ = strings.Cut(image, " ")
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	parts := strings.Split(strings.ToLower(image), "/")
	if len(parts) > 1 && strings.ContainsAny(parts[0], ".:") {
		parts = parts[1:]
	}
	var out []string
	for _, p := range parts {
		out = append(out, p)
		out = append(out, strings.FieldsFunc(p, func(r rune) bool { return r == '-' || r == '_' || r == '.' })...)
	}
	return out
}

// shells are programs that run others as their children, and do not pass signals on.
var shells = []string{"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"}

// throughShell reports whether a command starts its server by a shell that stays there.
func throughShell(command []string) bool {
	if len(command) == 0 || !slices.Contains(shells, path.Base(command[0])) {
		// npm, yarn and others start the server by a shell, too.
		return len(command) > 1 && slices.Contains([]string{"npm", "npx", "yarn", "pnpm"}, path.Base(command[0]))
	}
	script := strings.TrimSpace(command[len(command)-1])
	lines := strings.FieldsFunc(script, func(r rune) bool { return strings.ContainsRune(";\n&|", r) })
	return len(lines) == 0 || !strings.HasPrefix(strings.TrimSpace(lines[len(lines)-1]), "exec ")
}

// withExec returns the command with the server in place of the shell, if that is easy to
// say.
func withExec(command []string) []string {
	if len(command) != 3 || !slices.Contains(shells, path.Base(command[0])) || !strings.HasSuffix(command[1], "c") {
		return nil
	}
	script := strings.TrimSpace(command[2])
	if strings.ContainsAny(script, ";&|\n<>(){}`") || strings.HasPrefix(script, "exec ") || strings.Contains(strings.SplitN(script, " ", 2)[0], "=") {
		return nil
	}
	return []string{command[0], command[1], "exec " + script}
}
