package problem_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// curlRequest returns the bytes that a curl command of the pages sends, and the port it
// sends them to. It knows as much of curl and the shell as the pages use:
//
//	[printf %0Nd 0 |] curl [-i] [-X METHOD] [-H FIELD]... [-d DATA|-d @-] URL
//
// with single and double quotes, and $(printf %0Nd 0) for N zeros. For requests that curl
// can't send it knows
//
//	printf 'REQUEST' | nc HOST PORT
func curlRequest(t *testing.T, command string) (port, request string) {
	t.Helper()
	if m := netcat.FindStringSubmatch(command); m != nil {
		return m[2], strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(m[1])
	}
	stdin := ""
	if first, rest, piped := strings.Cut(command, " | "); piped {
		stdin, command = zeros(t, first), rest
	}
	words := shellWords(t, command)
	if len(words) < 2 || words[0] != "curl" {
		t.Fatalf("not a curl command: %s", command)
	}
	method, target, data := "", "", ""
	var fields []string
	value := func(i int) string {
		if i+1 >= len(words) {
			t.Fatalf("%s lacks its value: %s", words[i], command)
		}
		return words[i+1]
	}
	for i := 1; i < len(words); i++ {
		switch w := words[i]; {
		case w == "-i":
		case w == "-X":
			method = value(i)
			i++
		case w == "-H":
			fields = append(fields, value(i))
			i++
		case w == "-d":
			if data = value(i); data == "@-" {
				data = stdin
			}
			i++
		case strings.HasPrefix(w, "-") || target != "":
			t.Fatalf("%q is more of curl than this test knows: %s", w, command)
		default:
			target = w
		}
	}
	u, err := url.Parse("http://" + target)
	if err != nil {
		t.Fatal(err)
	}
	if method == "" {
		method = "GET"
		if data != "" {
			method = "POST"
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: curl/8.0.0\r\nAccept: */*\r\n", method, u.RequestURI(), u.Host)
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	if data != "" { // curl adds these by itself
		if !hasField(fields, "Content-Length") {
			fmt.Fprintf(&b, "Content-Length: %d\r\n", len(data))
		}
		if !hasField(fields, "Content-Type") {
			b.WriteString("Content-Type: application/x-www-form-urlencoded\r\n")
		}
		if len(data) > 1<<20 {
			b.WriteString("Expect: 100-continue\r\n")
		}
	}
	return u.Port(), b.String() + "\r\n" + data
}

func hasField(fields []string, name string) bool {
	for _, f := range fields {
		if key, _, _ := strings.Cut(f, ":"); strings.EqualFold(key, name) {
			return true
		}
	}
	return false
}

var netcat = regexp.MustCompile(`^printf '([^'%]*)' \| nc localhost (\d+)$`)

var printf = regexp.MustCompile(`\$?\(?printf %0(\d+)d 0\)?`)

// zeros replaces "printf %0Nd 0" by what it prints.
func zeros(t *testing.T, s string) string {
	t.Helper()
	return printf.ReplaceAllStringFunc(s, func(m string) string {
		n, err := strconv.Atoi(printf.FindStringSubmatch(m)[1])
		if err != nil {
			t.Fatal(err)
		}
		return strings.Repeat("0", n)
	})
}

// shellWords splits a command at its spaces, outside of quotes.
func shellWords(t *testing.T, command string) (words []string) {
	t.Helper()
	word, quote, inside := "", rune(0), false
	for _, c := range zeros(t, command) {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word += string(c)
		case c == '\'' || c == '"':
			quote, inside = c, true
		case c == ' ':
			if inside {
				words = append(words, word)
			}
			word, inside = "", false
		default:
			word, inside = word+string(c), true
		}
	}
	if quote != 0 {
		t.Fatalf("a quote is not closed: %s", command)
	}
	if inside {
		words = append(words, word)
	}
	return words
}
