package transport_test

import "strings"

// requestLines are first lines that no grammar allows, and versions that this server does
// not speak.
func requestLines() []hostile {
	var cases []hostile
	for _, line := range []string{
		"GET", "GET ", "GET /health", "GET /health ", "GET  /health HTTP/1.1", "GET /health  HTTP/1.1", "GET /health HTTP/1.1 ", "GET\t/health\tHTTP/1.1", " GET /health HTTP/1.1", "\tGET /health HTTP/1.1",
		"GET /health HTTP/1.1 HTTP/1.1", "GET /health /ready HTTP/1.1", "GET /he alth HTTP/1.1", "/health HTTP/1.1", "HTTP/1.1 200 OK", "HTTP/1.1", "GET /health http/1.1", "GET /health HTTP", "GET /health HTTP/",
		"GET /health HTTP/1", "GET /health HTTP/1.", "GET /health HTTP/.1", "GET /health HTTP/11", "GET /health HTTP/1.10", "GET /health HTTP/01.1", "GET /health HTTP/-1.1", "GET /health HTTP/1,1", "GET /health HTTPS/1.1", "GET /health XTTP/1.1",
		"GET /health HTTP/a.b", "GET /health HTTP/1.1\x00", "GET /health\x00 HTTP/1.1", "GET /hea\x00lth HTTP/1.1", "GET /health\x7f HTTP/1.1",
		"GET /hea\rlth HTTP/1.1", "GET /hea\x0blth HTTP/1.1", "GET /hea\tlth HTTP/1.1", "GET\x00 /health HTTP/1.1", "G\x01T /health HTTP/1.1", "G\xc3\x89T /health HTTP/1.1", "GET: /health HTTP/1.1", "GE(T /health HTTP/1.1", "G,ET /health HTTP/1.1",
		"{\"tools\":[]}", "\x00\x00\x00\x00", "\xff\xfe\xfd", "EHLO mail.example", "SSH-2.0-OpenSSH_9.9", "USER anonymous", "*1", "$4", "<policy-file-request/>", "GET HTTP/1.1",
	} {
		cases = append(cases, hostile{name: "line " + short(line), send: line + "\r\nHost: x\r\n\r\n", want: "400 closed"})
	}
	for _, method := range []string{"get", "Get", "BREW", "PROPFIND", "GETX", "XGET", "M-SEARCH", "!#$%&'*+-.^_`|~", strings.Repeat("A", 3000), "PATCH", "TRACE", "PUT", "DELETE", "POST"} {
		cases = append(cases, hostile{name: "method " + short(method), send: method + " /api/v1/toolsets HTTP/1.1\r\nHost: x\r\n\r\n", want: "405 open"})
	}
	return append(cases,
		hostile{name: "HTTP/0.9", send: "GET /health\r\n", want: "400 closed"},
		hostile{name: "HTTP/2 preface", send: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", want: "505 closed"},
		hostile{name: "upgrade to HTTP/2", send: get("/health", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"), want: "200 open"},
		hostile{name: "upgrade to a websocket", send: get("/api/v1/toolsets", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), want: "200 open"},
		hostile{name: "TLS hello", send: "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("\x5a", 150) + "\n\r\n\r\n", want: "400 closed"},
		hostile{name: "TLS hello without a line feed", send: "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("\x5a", 150), want: "400 half"},
		hostile{name: "PROXY protocol", send: "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + get("/health", ""), want: "400 closed"},
		hostile{name: "PROXY protocol 2", send: "\r\n\r\n\x00\r\nQUIT\n!\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01\x00\x01\x00\x02" + get("/health", ""), want: "400 closed"},
		hostile{name: "HTTP/1.0", send: "GET /health HTTP/1.0\r\n\r\n", want: "200 closed"},
		hostile{name: "HTTP/1.0 kept", send: "GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", want: "200 open"},
		hostile{name: "empty lines before", send: "\r\n\r\n" + get("/health", ""), want: "200 open"},
		hostile{name: "1,000 empty lines before", send: strings.Repeat("\r\n", 1000) + get("/health", ""), want: "200|400|431 open"},
		hostile{name: "only empty lines", send: "\r\n\r\n", want: "half"},
		hostile{name: "nothing", send: "", want: "half"},
		hostile{name: "a byte", send: "G", want: "400 half"},
		hostile{name: "half a line", send: "GET /hea", want: "400 half"},
		hostile{name: "half a head", send: "GET /health HTTP/1.1\r\nHost:", want: "400 half"},
		hostile{name: "a head without its end", send: "GET /health HTTP/1.1\r\nHost: x\r\n", want: "400 half"},
		hostile{name: "a line of 5 KB", send: get("/"+strings.Repeat("a", 5000), ""), want: "414 closed"},
		hostile{name: "a query of 5 KB", send: get("/api/v1/toolsets?type="+strings.Repeat("a", 5000), ""), want: "414 closed"},
		hostile{name: "a method of 5 KB", send: strings.Repeat("A", 5000) + " / HTTP/1.1\r\nHost: x\r\n\r\n", want: "400|414 closed"},
		hostile{name: "a line of 64 KB and no end", send: "GET /" + strings.Repeat("a", 64<<10), want: "414 closed"},
	)
}

// versions are requests of other versions of HTTP, which are answered with that before
// anything else is checked, and what is not a version.
func versions() []hostile {
	var cases []hostile
	for _, version := range []string{"0.9", "1.2", "1.9", "2.0", "3.0", "9.9", "0.0"} {
		for name, send := range map[string]string{
			"GET": "GET /health HTTP/" + version + "\r\nHost: x\r\n\r\n", "without a Host": "GET /health HTTP/" + version + "\r\n\r\n", "unknown path": "GET /nothing HTTP/" + version + "\r\nHost: x\r\n\r\n", "no path": "GET * HTTP/" + version + "\r\nHost: x\r\n\r\n",
			"fragment": "GET /#x HTTP/" + version + "\r\nHost: x\r\n\r\n", "bad field": "GET /health HTTP/" + version + "\r\nX\r\n\r\n", "body": "POST /api/v1/discover HTTP/" + version + "\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", "body over the limit": "POST /api/v1/discover HTTP/" + version + "\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + strings.Repeat("x", 5000),
		} {
			cases = append(cases, hostile{name: "version " + version + " " + name, send: send, want: "505 closed"})
		}
		cases = append(cases, hostile{name: "version " + version + " HEAD", send: "HEAD /health HTTP/" + version + "\r\nHost: x\r\n\r\n", want: "505 closed", head: true})
		cases = append(cases, hostile{name: "version " + version + " HEAD no path", send: "HEAD * HTTP/" + version + "\r\nHost: x\r\n\r\n", want: "505 closed", head: true})
	}
	return cases
}

// headsRefused are HEAD requests that are refused at different places; the responses have
// no body.
func headsRefused() []hostile {
	var cases []hostile
	for name, send := range map[string]string{
		"without a Host": "HEAD /health HTTP/1.1\r\n\r\n", "*": "HEAD * HTTP/1.1\r\nHost: x\r\n\r\n", "no path": "HEAD x HTTP/1.1\r\nHost: x\r\n\r\n", "a bad field": "HEAD /health HTTP/1.1\r\nHost: x\r\nX\r\n\r\n", "NUL": "HEAD /health HTTP/1.1\r\nHost: x\r\nX: a\x00\r\n\r\n",
		"no version": "HEAD /health\r\nHost: x\r\n\r\n", "a bad version": "HEAD /health HTTP/1.10\r\nHost: x\r\n\r\n", "two blanks": "HEAD  /health HTTP/1.1\r\nHost: x\r\n\r\n", "a tab": "HEAD\t/health HTTP/1.1\r\nHost: x\r\n\r\n", "nothing more": "HEAD\r\nHost: x\r\n\r\n", "a fragment": "HEAD /health#x HTTP/1.1\r\nHost: x\r\n\r\n",
		"two lengths": "HEAD /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "length and coding": "HEAD /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "a folded field": "HEAD /health HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", "line feeds": "HEAD /health HTTP/1.1\nHost: x\n\n\r\n\r\n",
		"empty lines before": "\r\n\n\r\nHEAD * HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		cases = append(cases, hostile{name: "HEAD refused: " + name, send: send, want: "400 closed", head: true})
	}
	ok := "HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n"
	return append(cases,
		hostile{name: "HEAD refused: a long line", send: "HEAD /" + strings.Repeat("a", 5000) + " HTTP/1.1\r\nHost: x\r\n\r\n", want: "414 closed", head: true},
		hostile{name: "HEAD refused: a long line without an end", send: "HEAD /" + strings.Repeat("a", 5000), want: "414 closed", head: true},
		hostile{name: "HEAD refused: long fields", send: "HEAD /health HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 5000) + "\r\n\r\n", want: "431 closed", head: true},
		hostile{name: "HEAD refused: a body over the limit", send: "HEAD /health HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + strings.Repeat("x", 5000), want: "413 closed", head: true},
		hostile{name: "HEAD refused: chunks over the limit", send: "HEAD /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2000\r\n" + strings.Repeat("x", 0x2000) + "\r\n0\r\n\r\n", want: "413 closed", head: true},
		hostile{name: "HEAD refused: half a head", send: "HEAD /health HTTP/1.1\r\nHo", want: "400 half", head: true},
		hostile{name: "HEAD refused: half a line", send: "HEAD /he", want: "400 half", head: true},
		hostile{name: "HEAD refused: behind others", send: ok + ok + "HEAD * HTTP/1.1\r\nHost: x\r\n\r\n", want: "200 200 400 closed", head: true},
		hostile{name: "HEAD refused: behind one with a body", send: strings.Replace(ok, "\r\n\r\n", "\r\nContent-Length: 3\r\n\r\nabc", 1) + "\r\nHEAD * HTTP/1.1\r\nHost: x\r\n\r\n", want: "200 400 closed", head: true},
		hostile{name: "no HEAD: in small letters", send: "head * HTTP/1.1\r\nHost: x\r\n\r\n", want: "400 closed"},
		hostile{name: "no HEAD: in a body", send: post("Content-Length: 30\r\n", "HEAD * HTTP/1.1\r\nHost: x\r\n\r\n\r") + "GET * HTTP/1.1\r\nHost: x\r\n\r\n", want: "400 400 closed"},
	)
}

// targets are request targets that are meant to reach what their usual spelling would
// not.
func targets() []hostile {
	var cases []hostile
	// No other spelling of a path is the same path: neither dots nor escapes are
	// resolved, so that we answer what a proxy before us has checked.
	for _, path := range []string{
		"//health", "/./health", "/health/.", "/x/../health", "/health/../health", "/../health", "/..", "/.", "/...", "/%2e%2e/health", "/%2e/health", "/%2fhealth", "/health%2f", "/health%00", "/health%0a", "/health%20",
		"/%68ealth", "/HEALTH", "/Health", "/health;a=b", "/;/health", "/health/;", "/health\\", "\\health", "/\\health", "/..\\health", "/health%5c", "/health%", "/health%zz", "/health%2", "/%c0%af", "/%c0%ae%c0%ae/health",
		"/%u002e", "/%252e%252e/health", "/etc/passwd", "/..%2f..%2f..%2fetc%2fpasswd", "/../../../../etc/passwd", "/....//....//etc/passwd", "/api/v1/../../health", "/api/v1//toolsets", "/api//v1/toolsets",
		"/api/v1/toolsets//grafana", "/api/v1/toolsets/%2e%2e/toolset", "/api/v1/toolsets/grafana/x", "/api/v1/toolsets/x/../grafana", "/api/v1/./toolsets", "/api/v1/%74oolsets", "/api/v1/toolsets%3ftype=x",
		"/api/v1/toolsets/grafana%00", "/api/v1/toolsets/grafana%00.json", "/api/v1/toolsets/grafana.", "/api/v1/toolsets/grafana%20", "/api/v1/toolsets/grafana;x", "/api/v1/toolsets/monitoring%2fgrafana", "/api/v1/toolsets/..%2fgrafana",
		"/api/v1/toolsets/x%2f..%2fgrafana", "/api/v1/toolsets/.%2fgrafana", "/api/v1/toolsets/%2fgrafana", "/api/v1/toolsets/%2e%2fgrafana", "/api/v1/toolsets/GRAFANA", "/api/v1/toolsets/..", "/api/v1/toolsets/.", "/api/v1/toolsets/%2e%2e", "/api/v1/toolsets/*",
		"/api/v1/toolsets/' OR '1'='1", "/api/v1/toolsets/%27%20OR%201=1--", "/api/v1/toolsets/$(id)", "/api/v1/toolsets/`id`", "/api/v1/toolsets/<script>", "/api/v1/toolsets/{{7*7}}", "/api/v1/toolsets/${jndi:ldap://x}", "/api/v1/toolsets/%0d%0aX-Injected:1",
		"/api/v1/toolsets/\xff\xfe", "/api/v1/toolsets/%ff%fe", "/api/v1/toolsets/caf\xc3\xa9", "/api/v1/toolsets/%ed%a0%80", "/api/v1/toolsets/%f4%90%80%80", "/\xe2\x80\xae", "/api/v1/toolsets/{name}", "/debug/pprof/", "/.git/config", "/server-status", "/metrics/../health", "/#", "/health#x/../y", "/health#", "/health#.png", "/health?#", "/api/v1/toolsets/grafana#x", "/api/v1/toolsets?type=grafana#x", "/api/v1/toolsets?#type=x", "/#/health", "/health%23.png", "//x/health", "///health", "//", "/health//", "/health/./", "/health/..;/x",
	} {
		want := "404 open"
		if strings.Contains(path, " ") || path == "\\health" {
			want = "400 closed" // a blank ends the target, and no target begins like this
		}
		if strings.Contains(path, "#") {
			want = "400 closed" // a target has no fragment
		}
		cases = append(cases, hostile{name: "path " + short(path), send: get(path, ""), want: want})
	}
	for _, path := range []string{"/api/v1/toolsets/smuggle%64/../x", "/api/v1/toolsets/" + strings.Repeat("a", 2000), "/" + strings.Repeat("/", 2000), "/" + strings.Repeat("../", 1000), "/" + strings.Repeat("%2e%2e%2f", 300), "/" + strings.Repeat("a/", 1000)} {
		cases = append(cases, hostile{name: "long path " + short(path), send: get(path, ""), want: "404 open"})
	}
	// Forms of the target (RFC 9112, section 3.2).
	for target, want := range map[string]string{
		"http://x/health": "200 open", "HTTP://x/health": "200 open", "https://x/health": "200 open", "http://other:99/health": "200 open", "http://user:pass@x/health": "400 closed", "http://user@x/health": "400 closed", "http://x@/health": "400 closed", "http://x/health#y": "400 closed", "http://x#/health": "400 closed", "http://x?/health": "404 open", "http://x\\y/health": "400 closed", "http://\xff/health": "400 closed", "http://:80/health": "400 closed", "http:/health": "400 closed", "http:health": "400 closed", "http://x//health": "404 open", "http://x/./health": "404 open",
		// What follows two slashes is a path and not a host, whatever comes behind it.
		"//x/health?://": "400 closed", "//x/health?u=http://y/": "400 closed", "//x://y/health": "400 closed", "//://health": "400 closed", "/x//y://z/health": "404 open", "/health?u=http://y/": "200 open",
		"/": "200 open", "/?": "200 open", "/?x": "400 open", "http://x": "200 open", "http://x/": "200 open", "http:///health": "400 closed", "http://": "400 closed", "://x/health": "400 closed", "1http://x/health": "400 closed", "ht tp://x/health": "400 closed",
		"javascript:alert(1)": "400 closed", "file:///etc/passwd": "400 closed", "x": "400 closed", "health": "400 closed", "x:80": "400 closed", "*": "400 closed", "?": "400 closed", "?type=x": "400 closed", "#": "400 closed",
		"http://[::1]/health": "200 open", "http://[::1/health": "400 closed", "http://x:y/health": "400 closed", "http://x%00/health": "400 closed", "http://x\\@y/health": "400 closed", "http://x/health?http://y/": "200 open", "/http://x/health": "404 open", "//x/health": "404 open",
	} {
		cases = append(cases, hostile{name: "target " + short(target), send: get(target, ""), want: want})
	}
	for _, c := range [][3]string{
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "204 open"}, {"POST *", "POST * HTTP/1.1\r\nHost: x\r\n\r\n", "400 closed"}, {"OPTIONS **", "OPTIONS ** HTTP/1.1\r\nHost: x\r\n\r\n", "400 closed"},
		{"CONNECT", "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", "404 open"}, {"CONNECT path", "CONNECT /health HTTP/1.1\r\nHost: x\r\n\r\n", "405 open"}, {"CONNECT nothing", "CONNECT  HTTP/1.1\r\nHost: x\r\n\r\n", "400 closed"},
	} {
		cases = append(cases, hostile{name: c[0], send: c[1], want: c[2]})
	}
	for name, send := range map[string]string{ // of a request without a Host
		"//x/health": "GET //x/health HTTP/1.0\r\n\r\n", "//x/health?y": "GET //x/health?y HTTP/1.0\r\nX: y\r\n\r\n", "fragment": "GET /health#x HTTP/1.0\r\n\r\n", "user information": "GET http://a:b@x/health HTTP/1.0\r\n\r\n",
	} {
		cases = append(cases, hostile{name: "no Host, target " + name, send: send, want: "400 closed"})
	}
	for target, want := range map[string]string{"health": "400 closed", "x": "400 closed", "x:": "400 closed", ":443": "400 closed", "http://x/health": "400 closed", "a:b@x:443": "400 closed", "x:443/health": "400 closed", "x:443#y": "400 closed", "[::1]:443": "404 open"} {
		cases = append(cases, hostile{name: "CONNECT target " + target, send: "CONNECT " + target + " HTTP/1.1\r\nHost: x\r\n\r\n", want: want})
	}
	return append(cases, queries()...)
}

// queries are query strings. A list accepts each parameter that it knows once, and
// nothing else.
func queries() []hostile {
	var cases []hostile
	for _, query := range []string{
		"type=grafana&type=loki", "Type=grafana", "type[]=grafana", "type.x=grafana", "%74ype=grafana&type=loki", "x", "=x", "type", "type=", "namespace=", "healthy=1", "healthy=TRUE", "healthy=yes", "healthy=true%00",
		"healthy=true&healthy=false", "healthy=%74rue%20", "healthy=\xff", "enabled=null", "enabled[]=true", "limit=-1", "limit=0x10", "limit=99999999999999999999", "continue=%00", "continue=..%2f..", "__proto__=x", "constructor=x", "callback=alert(1)",
		strings.Repeat("a=b&", 700), "a" + strings.Repeat("%", 1500), strings.Repeat("&", 2000) + "x", "%ff%fe=1", "\xff\xfe=1", "%0d%0aX-Injected:%201=1", "<script>=1", "%", "%zz=1", "type=%zz&x=1",
	} {
		cases = append(cases, hostile{name: "query " + short(query), send: get("/api/v1/toolsets?"+query, ""), want: "400 open"})
	}
	for _, query := range []string{"type=nothing", "type=%00", "type=%ff", "type=\xff", "type=' OR 1=1", "type=" + strings.Repeat("a", 3000), "namespace=..%2f..%2fkube-system", "namespace=%0d%0a", "&&&", "", "=", "&=&", "type=grafana;namespace=x", "?", "type=%", "type=%zz", "type=+"} {
		want := "200 open"
		switch {
		case strings.Contains(query, " "):
			want = "400 closed"
		case query == "?":
			want = "400 open"
		}
		cases = append(cases, hostile{name: "value " + short(query), send: get("/api/v1/toolsets?"+query, ""), want: want})
	}
	for _, wait := range []string{"", "0s", "-1s", "26s", "1e9s", "9999999999999h", "1", "s", "%00", "1s&wait=2s"} {
		want := "400 open"
		if wait == "1s&wait=2s" {
			want = "200|400 open"
		}
		cases = append(cases, hostile{name: "wait " + wait, send: "POST /api/v1/discover?wait=" + wait + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n", want: want})
	}
	return cases
}
