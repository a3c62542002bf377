package transport_test

import "strings"

// fieldLines are requests with header fields that no grammar allows, or with too many of
// them.
func fieldLines() []hostile {
	var cases []hostile
	for _, line := range []string{
		"nocolon", ":", ": x", ":x: y", " X: y", "\tX: y", "X : y", "X\t: y", "X Y: z", "X\x00: y", "X: \x00", "X: a\x00b", "X: a\x01b", "X: a\x7fb", "X: a\x1bb", "X: a\rb", "X: a\r", "X: a\nY: b", "X\n: b", "X: a\n", "X: a\r\n b", "X: a\r\n\tb", "X: a\r\n ", "X(: y", "X@: y", "X[]: y", "{X}: y", "X\": y", "X/: y", "X;: y", "X=: y",
		"X\xc3\xa9: y", "\xef\xbb\xbfX: y", "X\xa0: y", "X\r: y", "\rX: y", "\nX: y",
	} {
		cases = append(cases, hostile{name: "field " + short(line), send: get("/health", line+"\r\n"), want: "400 closed"})
	}
	for _, line := range []string{"X:", "X:y", "X:    y    ", "X:\ty", "X: caf\xc3\xa9", "X: \xff\xfe\x80", "X: a: b", "X: \"a\\", "x_y: z", "X: a\tb", "!#$%&'*+-.^_`|~0: x", strings.Repeat("X: y\r\n", 300) + "X: y", "X: " + strings.Repeat("y", 3500), strings.Repeat("X", 3500) + ": y"} {
		cases = append(cases, hostile{name: "fine field " + short(line), send: get("/health", line+"\r\n"), want: "200 open"})
	}
	cases = append(cases,
		hostile{name: "a field of 5 KB", send: get("/health", "X: "+strings.Repeat("y", 5000)+"\r\n"), want: "431 closed"},
		hostile{name: "a name of 5 KB", send: get("/health", strings.Repeat("X", 5000)+": y\r\n"), want: "431 closed"},
		hostile{name: "a name of 64 KB and no end", send: "GET /health HTTP/1.1\r\n" + strings.Repeat("X", 64<<10), want: "431 closed"},
		hostile{name: "10,000 fields", send: get("/health", strings.Repeat("X: y\r\n", 10000)), want: "431 closed"},
		hostile{name: "1,000 empty fields", send: get("/health", strings.Repeat("X:\r\n", 2000)), want: "431 closed"},
		hostile{name: "10,000 folded lines", send: get("/health", "X: y\r\n"+strings.Repeat(" z\r\n", 10000)), want: "431 closed"},
		hostile{name: "a head of line feeds alone", send: "GET /health HTTP/1.1\nHost: x\n\n", want: "400 half"},
		hostile{name: "a request hidden behind line feeds", send: "GET /health HTTP/1.1\nHost: x\n\n" + smuggled, want: "400 closed"},
		hostile{name: "a head that ends in a line feed", send: "GET /health HTTP/1.1\r\nHost: x\r\n\n" + smuggled, want: "400 closed"},
		hostile{name: "a head that ends in LF CR LF", send: "GET /health HTTP/1.1\r\nHost: x\n\r\n" + smuggled, want: "400 closed"},
		hostile{name: "a head of carriage returns alone", send: "GET /health HTTP/1.1\rHost: x\r\r", want: "400 half"},
		hostile{name: "a head that ends in carriage returns", send: "GET /health HTTP/1.1\r\nHost: x\r\r" + smuggled, want: "400 closed"},
		hostile{name: "a line feed before the fields", send: "GET /health HTTP/1.1\r\n\nHost: x\r\n\r\n", want: "400 closed"},
		hostile{name: "a fold before the fields", send: "GET /health HTTP/1.1\r\n Host: x\r\n\r\n", want: "400 closed"},
		hostile{name: "a folded request line", send: "GET /health\r\n HTTP/1.1\r\nHost: x\r\n\r\n", want: "400 closed"},
	)
	return append(cases, hosts()...)
}

// hosts are requests with wrong Host fields. There must be one, with a host or empty (RFC
// 9112, section 3.2).
func hosts() []hostile {
	cases := []hostile{
		{name: "no host", send: "GET /health HTTP/1.1\r\n\r\n", want: "400 closed"},
		{name: "no host, other fields", send: "GET /health HTTP/1.1\r\nX-Host: x\r\n\r\n", want: "400 closed"},
		{name: "no host, absolute target", send: "GET http://x/health HTTP/1.1\r\nX: y\r\n\r\n", want: "400 closed"},
		{name: "empty host", send: "GET /health HTTP/1.1\r\nHost:\r\n\r\n", want: "400 closed"},
		{name: "a host of 3 KB", send: "GET /health HTTP/1.1\r\nHost: " + strings.Repeat("x", 3000) + "\r\n\r\n", want: "200 open"},
	}
	for _, host := range []string{
		"x\r\nHost: x", "x\r\nHost: y", "x\r\nhost: y", "x\r\nHost:", "\r\nHost: x", "x\r\n y", "x y", "x/y", "x?y", "x#y", "x@y", "user:pass@x", "http://x", "x\\y", "x\x00", "x\x01y", "x\xff", "caf\xc3\xa9", "x:y", "x:80:80", "x:-1", ":", "[::1", "::1]", "[::1]x", "[::1]:y", "[", "]", "[]", "<x>", "\"x\"", "x,y", "x, y", "{x}", "x|y", "x^y", "`id`", "x%00y", "x%zz", "x%", "%78",
	} {
		want := "400 closed"
		switch host {
		case "x,y":
			want = "200 open" // a registered name may contain a comma (RFC 3986, section 3.2.2)
		case ":":
			want = "200 open" // no host and no port
		}
		cases = append(cases, hostile{name: "host " + short(host), send: "GET /health HTTP/1.1\r\nHost: " + host + "\r\n\r\n", want: want})
	}
	for _, host := range []string{"x:", "x:80", "X.EXAMPLE:65535", "[::1]", "[::1]:8080", "10.0.0.1", "x_y", "x.", "-", "dynamic-toolset.kubernaut-system.svc.cluster.local", "x:99999", "..", "'x'", "x;y"} {
		cases = append(cases, hostile{name: "fine host " + short(host), send: "GET /health HTTP/1.1\r\nHost: " + host + "\r\n\r\n", want: "200 open"})
	}
	return cases
}

// identifiers are values of X-Request-ID. A well-formed one is in the head of the
// response and in its problem document; no other gets there.
func identifiers() []hostile {
	var cases []hostile
	for _, id := range []string{
		"", " ", "a b", "a\tb", "caf\xc3\xa9", "\xff", "\xc0\x80", "\xe2\x80\xae", strings.Repeat("a", 129), strings.Repeat("a", 3000), "a\xc2\x85b", "a\xe2\x80\xa8b",
		`"`, `\`, `"}{"`, `","status":200,"x":"`, "</script><script>alert(1)</script>", "'; DROP TABLE x; --", "$(id)", "`id`", "{{7*7}}", "${jndi:ldap://x}", "%0d%0aX-Injected:%201", "a%00b", "../../etc/passwd", "=cmd|x", "a;b", "a,b", "\\u0000", "\\r\\nX: y",
	} {
		cases = append(cases, hostile{name: "identifier " + short(id), send: get("/nothing", "X-Request-ID: "+id+"\r\n"), want: "404 open"},
			hostile{name: "identifier of a success " + short(id), send: get("/health", "X-Request-ID: "+id+"\r\n"), want: "200 open"})
	}
	for _, id := range []string{"a\r\nX-Injected: 1\x00", "a\rX-Injected: 1", "a\nX-Injected: 1", "a\x00b", "a\x1b[31m", "a\x7f", "a\r\n b", "a\r\n\r", "a\x08"} {
		cases = append(cases, hostile{name: "identifier " + short(id), send: get("/nothing", "X-Request-ID: "+id+"\r\n"), want: "400 closed"})
	}
	return append(cases,
		hostile{name: "two identifiers", send: get("/nothing", "X-Request-ID: canary-two_identifiers-1\r\nX-Request-ID: smuggled\r\n"), want: "404 open"},
		hostile{name: "an identifier with an underscore in its name", send: get("/nothing", "X_Request_ID: smuggled\r\n"), want: "404 open"},
		hostile{name: "an identifier of a malformed request", send: get("/nothing", "X-Request-ID: canary-an_identifier_of_a_malformed_request\r\nbad\r\n"), want: "400 closed"},
	)
}

// contents are requests with well-formed fields and bodies that make no sense.
func contents() []hostile {
	var cases []hostile
	for _, tags := range []string{"", "*", "*, *", `"`, `""`, `"x`, `x"`, `W/`, `W/"x"`, `w/"x"`, `"x",`, `,`, strings.Repeat(",", 3000), strings.Repeat(`"x", `, 500), strings.Repeat(`"`, 3001), `"\xff\xfe"`, "\xff", `"a""b"`, `*x`, `"x" "y"`} {
		want := "200|304 open"
		cases = append(cases, hostile{name: "tags " + short(tags), send: get("/api/v1/toolsets", "If-None-Match: "+tags+"\r\n"), want: want})
	}
	for _, codings := range []string{"", ",", ";", ";;;", "gzip;q=", "gzip;q=x", "gzip;q=-1", "gzip;q=1e9", "gzip;q=0.0000", "gzip;Q=0", "gzip;q=0;q=1", "gzip;x=y;q=0", "*", "*;q=0, gzip", "br;q=1, gzip;q=0", "gzip gzip", "GZIP", "x-gzip", "\xff", strings.Repeat("gzip,", 600), strings.Repeat(";", 3000), strings.Repeat("*;q=0,", 500), "gzip;" + strings.Repeat("a=b;", 600) + "q=0"} {
		cases = append(cases, hostile{name: "codings " + short(codings), send: get("/api/v1/toolsets", "Accept-Encoding: "+codings+"\r\n"), want: "200 open"})
	}
	for _, field := range []string{"Range: bytes=0-", "Range: bytes=-1", "Range: bytes=0-0,1-1,2-2", "Range: bytes=" + strings.Repeat("0-,", 800), "Content-Range: bytes 0-1/2", "If-Match: \"x\"", "If-Modified-Since: never", "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT", "If-Range: \"x\"", "Accept: text/html;q=1, */*;q=0",
		"Accept: " + strings.Repeat("a/b,", 800), "Accept-Charset: utf-7", "Accept-Language: " + strings.Repeat("x", 3000), "Cookie: " + strings.Repeat("a=b; ", 600), "Cookie: =;=;;;", "Authorization: Basic AAAA", "Authorization: Bearer " + strings.Repeat("x", 3000), "Origin: null", "Referer: javascript:x", "Forwarded: for=\"\x80\"",
		"X-Forwarded-For: 127.0.0.1", "X-Original-URL: /metrics", "X-Rewrite-URL: /metrics", "X-HTTP-Method-Override: DELETE", "X-Forwarded-Host: evil", "X-Forwarded-Proto: gopher", "Max-Forwards: 0", "Via: 1.1 x", "Cache-Control: only-if-cached", "Pragma: x", "Warning: 199 x \"y\"", "Date: x", "Trailer: X-Y", "User-Agent: () { :;}; id", "Last-Event-ID: x", "Upgrade-Insecure-Requests: 1", "Keep-Alive: timeout=9999999", "Proxy-Connection: close", "Prefer: respond-async", "Early-Data: 1"} {
		cases = append(cases, hostile{name: "field without effect " + short(field), send: get("/health", field+"\r\n"), want: "200 open"})
	}
	for value, end := range map[string]string{
		"close": "closed", "Close": "closed", "close, keep-alive": "closed", "keep-alive, close": "closed", "keep-alive\r\nConnection: close": "closed", "close\r\nConnection: keep-alive": "closed", ",close,": "closed", "keep-alive": "open", "": "open", ",": "open", "x": "open",
		"closed": "open", "keep-alive, x": "open", "Host": "open", "X-Request-ID": "open", "close;x": "open", `"close"`: "open", strings.Repeat("x,", 1500): "open", strings.Repeat("x,", 1500) + "close": "closed",
	} {
		cases = append(cases, hostile{name: "connection " + short(value), send: get("/health", "Connection: "+value+"\r\n"), want: "200 " + end})
	}
	for _, trailer := range []string{"Content-Length", "Transfer-Encoding", "Host", "Authorization", "X Y", "\x00"} {
		cases = append(cases, hostile{name: "announced trailer " + trailer, send: get("/health", "Trailer: "+trailer+"\r\n"), want: "400 closed"})
	}
	cases = append(cases, bodies()...)
	return append(cases,
		hostile{name: "expect 100", send: post("Expect: 100-continue\r\nContent-Length: 2\r\n", "{}"), want: "200 open"},
		hostile{name: "expect 100 in capitals", send: post("Expect: 100-CONTINUE\r\nContent-Length: 2\r\n", "{}"), want: "200 open"},
		hostile{name: "expect 100 of a GET", send: get("/health", "Expect: 100-continue\r\n"), want: "200 open"},
		hostile{name: "expect 100, too large", send: post("Expect: 100-continue\r\nContent-Length: 5000\r\n", ""), want: "413 closed"},
		hostile{name: "expect 100, chunked", send: post("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"), want: "200 closed"},
		hostile{name: "expect 100, CL.TE", send: post("Expect: 100-continue\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+smuggled), want: "400 closed"},
		hostile{name: "expect 100, chunked over the limit", send: post("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", "2000\r\n"+strings.Repeat("x", 0x2000)+"\r\n0\r\n\r\n"), want: "413 closed"},
		hostile{name: "expect 100 of HTTP/1.0", send: "POST /api/v1/toolsets/validate HTTP/1.0\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", want: "200 closed"},
		hostile{name: "expect 100, and the body never comes", send: post("Expect: 100-continue\r\nContent-Length: 2\r\n", ""), want: "400 half"},
		hostile{name: "expect another thing", send: post("Expect: the-inquisition\r\nContent-Length: 2\r\n", "{}"), want: "200 open"},
		hostile{name: "two expectations", send: post("Expect: 100-continue\r\nExpect: x\r\nContent-Length: 2\r\n", "{}"), want: "200 open"},
	)
}

// bodies are invalid bodies of the right length.
func bodies() []hostile {
	var cases []hostile
	for _, body := range []string{
		"", " ", "\x00", "\xff\xfe", "\xef\xbb\xbf{}", "{", "}", "[", "[[", "{}{}", "{} x", "{}\x00", "{'a':1}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "// x\n{}", "NaN", "-", "1e", "01", "0x1", "tru", "nul", "\"", "\"\\u12\"", "\"\\x\"", "\"\x01\"", "\"\n\"", "+1",
		strings.Repeat("[", 4000), strings.Repeat("{\"a\":", 800), "<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><x>&a;</x>", "a: &a [*a,*a]", "--- !!python/object/apply:os.system [id]", "tools: []", "a=b&c=d",
	} {
		length, same := sized(body)
		cases = append(cases, hostile{name: "body " + short(body), send: post(length, same), want: "400 open"})
	}
	for _, body := range []string{
		"{}", "[]", "null", "true", "0", "\"\"", "1e400", "-0", "1" + strings.Repeat("0", 3000), `{"tools":null}`, `{"tools":{}}`, `{"tools":[null]}`, `{"tools":[[[]]]}`, `{"tools":[{"name":null}]}`, `{"tools":[{"name":{"a":1}}]}`, `{"tools":[{"name":"\u0000"}]}`, `{"tools":[{"name":"\ud800"}]}`, "{\"tools\":[{\"name\":\"\xff\"}]}",
		`{"tools":[],"tools":[]}`, `{"Tools":[]}`, `{"tools":[],"__proto__":{}}`, `{"tools":[` + strings.Repeat("{},", 1000) + `{}]}`, `{"tools":[{"endpoint":"javascript:x"}]}`, `{"tools":[{"endpoint":"http://x\r\ny"}]}`, `{"tools":[{"endpoint":"file:///etc/passwd"}]}`, `{"` + strings.Repeat("a", 3900) + `":1}`,
	} {
		length, same := sized(body)
		cases = append(cases, hostile{name: "document " + short(body), send: post(length, same), want: "200|400 open"})
	}
	for _, media := range []string{"", "application", "application/", "/json", "application/jsonp", "application/x-json", "text/json", "application/json, text/plain", "application/json\t,x", "multipart/form-data", "multipart/form-data; boundary=" + strings.Repeat("x", 3000), "multipart/form-data; boundary=", "application/x-www-form-urlencoded", "\xff/\xff", "*/*", "application/json+x", "APPLICATION/JSONX", "application /json", "x;application/json"} {
		length, body := sized("{}")
		cases = append(cases, hostile{name: "media type " + short(media), send: "POST /api/v1/toolsets/validate HTTP/1.1\r\nHost: x\r\nContent-Type: " + media + "\r\n" + length + "\r\n" + body, want: "415 open"})
	}
	for _, coding := range []string{"gzip", "identity", "br", "deflate, gzip", "x", "\xff"} {
		length, body := sized("{}")
		cases = append(cases, hostile{name: "content coding " + short(coding), send: post("Content-Encoding: "+coding+"\r\n"+length, body), want: "415 open"})
	}
	return cases
}

// pipelines are several requests at once, one of them bad. The good ones before it are
// answered, those after it are not.
func pipelines() []hostile {
	ok, bad := get("/health", ""), "nonsense\r\n\r\n"
	length, body := sized("{}")
	valid := post(length, body)
	return []hostile{
		{name: "3 good", send: ok + ok + ok, want: "200 200 200 open"},
		{name: "64 good", send: strings.Repeat(ok, 64), want: strings.Repeat("200 ", 64) + "open"},
		{name: "a good and a bad", send: ok + bad + smuggled, want: "200 400 closed"},
		{name: "5 good and a bad", send: strings.Repeat(ok, 5) + bad + smuggled, want: "200 200 200 200 200 400 closed"},
		{name: "a bad first", send: bad + ok + smuggled, want: "400 closed"},
		{name: "bodies and none", send: valid + ok + valid + ok, want: "200 200 200 200 open"},
		{name: "errors that keep the connection", send: get("/nothing", "") + ok + get("/api/v1/toolsets?x=y", "") + ok, want: "404 200 400 200 open"},
		{name: "a close in the middle", send: ok + get("/health", "Connection: close\r\n") + smuggled, want: "200 200 closed"},
		{name: "HTTP/1.0 in the middle", send: ok + "GET /health HTTP/1.0\r\n\r\n" + smuggled, want: "200 200 closed"},
		{name: "CL.TE in the middle", send: ok + post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+smuggled), want: "200 400 closed"},
		{name: "too large in the middle", send: ok + post("Content-Length: 5000\r\n", strings.Repeat("x", 5000)) + smuggled, want: "200 413 closed"},
		{name: "too long in the middle", send: ok + get("/"+strings.Repeat("a", 5000), "") + smuggled, want: "200 414|431 closed"},
		{name: "fields too large in the middle", send: ok + get("/health", "X: "+strings.Repeat("a", 5000)+"\r\n") + smuggled, want: "200 431 closed"},
		{name: "a bad chunk in the middle", send: ok + post("Transfer-Encoding: chunked\r\n", "zz\r\n") + smuggled, want: "200 400 closed"},
		{name: "no host in the middle", send: ok + "GET /health HTTP/1.1\r\n\r\n" + smuggled, want: "200 400 closed"},
		{name: "line feeds alone in the middle", send: ok + "GET /health HTTP/1.1\nHost: x\n\n" + smuggled, want: "200 400 closed"},
		{name: "the end in the middle of a head", send: ok + "GET /health HTTP/1.1\r\nHo", want: "200 400 half"},
		{name: "the end in the middle of a body", send: ok + post("Content-Length: 3\r\n", "{}"), want: "200 400 half"},
		{name: "empty lines between", send: ok + "\r\n" + ok + "\r\n\r\n" + ok, want: "200 200 200 open"},
		{name: "a line feed between", send: ok + "\n" + ok, want: "200 200 open"},
		{name: "NUL between", send: ok + "\x00" + smuggled, want: "200 400 closed"},
		{name: "a response instead of a request", send: ok + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + smuggled, want: "200 400 closed"},
		{name: "watch, not a stream for a HEAD", send: "HEAD /api/v1/toolsets/watch HTTP/1.1\r\nHost: x\r\n\r\n", want: "200 closed", head: true, api: true},
	}
}
