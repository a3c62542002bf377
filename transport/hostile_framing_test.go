package transport_test

import (
	"fmt"
	"strings"
)

// If two parsers find different ends of a request, they see different requests behind it:
// request smuggling (RFC 9112, section 11.2). So whatever can be read in two ways is
// refused, and nothing behind it on the connection is served.

// smugglings are requests with both a length and a transfer coding, or with a transfer
// coding that only some parsers take for chunked.
func smugglings() []hostile {
	const end = "0\r\n\r\n"
	clte := func(coding string) string { return post("Content-Length: 6\r\n"+coding, end+smuggled) }
	tecl := func(coding string) string {
		n := len("2\r\n{}\r\n0\r\n\r\n") // ends before the smuggled one, which a chunk holds
		return post(fmt.Sprintf("Content-Length: %d\r\n", n)+coding, fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled))
	}
	cases := []hostile{
		{name: "CL.TE", send: clte("Transfer-Encoding: chunked\r\n"), want: "400 closed"},
		{name: "TE.CL", send: tecl("Transfer-Encoding: chunked\r\n"), want: "400 closed"},
		{name: "TE before CL", send: post("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n", end+smuggled), want: "400 closed"},
		{name: "CL.TE of a GET", send: get("/health", "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n") + end + smuggled, want: "400 closed"},
		{name: "CL.TE of a HEAD", send: "HEAD /health HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n" + end + smuggled, want: "400 closed", head: true},
		{name: "CL 0 and TE", send: post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", end+smuggled), want: "400 closed"},
		{name: "two CL, one TE", send: post("Content-Length: 6\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n", end+smuggled), want: "400 closed"},
		{name: "two TE, one CL", send: post("Transfer-Encoding: chunked\r\nContent-Length: 6\r\nTransfer-Encoding: identity\r\n", end+smuggled), want: "400 closed"},
		{name: "TE identity and CL", send: post("Transfer-Encoding: identity\r\nContent-Length: 2\r\n", "{}"), want: "400 closed"},
		{name: "TE of a request that is HTTP/1.0", send: "POST /api/v1/discover HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + end + smuggled, want: "400 closed"},
		{name: "CL.TE of a request that is HTTP/1.0", send: "POST /api/v1/discover HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n" + end + smuggled, want: "400 closed"},
		{name: "CL.TE with the coding nominated by Connection", send: post("Connection: transfer-encoding\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n", end+smuggled), want: "400 closed"},
		{name: "CL nominated by Connection, and TE", send: post("Connection: content-length\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n", end+smuggled), want: "400 closed"},
	}
	for _, coding := range []string{
		"Transfer-Encoding: xchunked", "Transfer-Encoding: chunkedx", "Transfer-Encoding: x", "Transfer-Encoding:",
		"Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, gzip", "Transfer-Encoding: chunked, chunked",
		"Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked", "Transfer-Encoding: identity", "Transfer-Encoding: gzip",
		"Transfer-Encoding: chunked;q=1", `Transfer-Encoding: "chunked"`, "Transfer-Encoding: 'chunked'", "Transfer-Encoding: chunked,",
		"Transfer-Encoding: ,chunked", "Transfer-Encoding: chunk", "Transfer-Encoding: chunked\x00", "Transfer-Encoding: \x00chunked",
		"Transfer-Encoding: \x0bchunked", "Transfer-Encoding: \x0cchunked", "Transfer-Encoding: chunked\x0b", "Transfer-Encoding: ch\xc5\xabnked",
		"Transfer-Encoding: chunked\xa0", "Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", " Transfer-Encoding: chunked",
		"\tTransfer-Encoding: chunked", "Transfer-Encoding:\r\n chunked", "Transfer-Encoding:\r\n\tchunked", "Transfer-Encoding: chunked\r\n ",
		"Transfer-Encoding: chunked\r\n , identity", "X: y\r\n Transfer-Encoding: chunked", "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked",
		"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\ntransfer-encoding: x", "Transfer Encoding: chunked",
		"Transfer-\rEncoding: chunked", "Transfer-Encoding\x00: chunked", "\x00Transfer-Encoding: chunked", "Transfer-Encoding\xa0: chunked",
		"\xef\xbb\xbfTransfer-Encoding: chunked", "Transfer-Encoding: chunked\n", "Transfer-Encoding\n: chunked", "Transfer-Encoding; chunked", "Transfer-Encoding chunked",
	} {
		cases = append(cases, hostile{name: "coding " + short(coding), send: clte(coding + "\r\n"), want: "400 closed"})
	}
	// No parser takes these for a transfer coding, so the length applies.
	for _, field := range []string{"Transfer_Encoding: chunked", "X-Transfer-Encoding: chunked", "TE: chunked", "TE: trailers, chunked", "Content-Transfer-Encoding: chunked", "Transfer-Encodin: chunked"} {
		length, body := sized(`{"tools":[]}`)
		cases = append(cases, hostile{name: "no coding " + field, send: post(length+field+"\r\n", body), want: "200 open"})
	}
	// Only the coding "chunked", in any case, is chunked.
	for _, coding := range []string{"Transfer-Encoding: chunked", "transfer-encoding: Chunked", "TRANSFER-ENCODING:CHUNKED", "Transfer-Encoding: \t chunked \t"} {
		// A chunked body ends its connection: see chunkings.
		cases = append(cases, hostile{name: "alone " + short(coding), send: post(coding+"\r\n", "2\r\n{}\r\n"+end), want: "200 closed"})
	}
	return cases
}

// chunkings are bodies with wrong chunks. fasthttp accepts some, such as a trailer
// section that ends in a line feed alone, or blanks behind a chunk size. Another parser
// on the way may not. So the response to any chunked request ends the connection, and
// nothing behind it can be taken for a request.
func chunkings() []hostile {
	cases := []hostile{
		{name: "chunked and followed", send: post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"+smuggled), want: "200 closed"},
		{name: "chunks of one byte", send: post("Transfer-Encoding: chunked\r\n", strings.Repeat("1\r\n \r\n", 300)+"2\r\n{}\r\n0\r\n\r\n"), want: "200 closed"},
		{name: "leading zeros", send: post("Transfer-Encoding: chunked\r\n", "0002\r\n{}\r\n0000\r\n\r\n"), want: "200 closed"},
		{name: "chunk extension", send: post("Transfer-Encoding: chunked\r\n", "2;a=b\r\n{}\r\n0;c\r\n\r\n"), want: "200 closed"},
		{name: "quoted chunk extension", send: post("Transfer-Encoding: chunked\r\n", "2;a=\"b;c\"\r\n{}\r\n0\r\n\r\n"), want: "200 closed"},
		{name: "long chunk extension", send: post("Transfer-Encoding: chunked\r\n", "2;a="+strings.Repeat("b", 3000)+"\r\n{}\r\n0\r\n\r\n"), want: "200 closed"},
		{name: "endless chunk extension", send: post("Transfer-Encoding: chunked\r\n", "2;a="+strings.Repeat("b", 300000)), want: "400 half"},
		{name: "trailer", send: post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\nX-Trail: 1\r\n\r\n"), want: "400 closed"},
		{name: "announced trailer", send: post("Transfer-Encoding: chunked\r\nTrailer: X-Trail\r\n", "2\r\n{}\r\n0\r\nX-Trail: 1\r\n\r\n"), want: "400 closed"},
		{name: "request identifier as a trailer", send: get("/nothing", "Transfer-Encoding: chunked\r\n") + "0\r\nX-Request-ID: " + marked("request identifier as a trailer") + "\r\n\r\n", want: "400 closed"},
		{name: "line feed ends the trailers", send: post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\n"+smuggled), want: "200 closed"},
		{name: "carriage return ends the trailers", send: post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r"+smuggled), want: "400 closed"},
		{name: "folded trailer", send: post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\nX: 1\r\n 2\r\n\r\n"+smuggled), want: "400 closed"},
		{name: "trailer of 8 KB", send: post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\nX: "+strings.Repeat("x", 8<<10)+"\r\n\r\n"), want: "431 closed"},
		{name: "2,000 trailers", send: post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n"+strings.Repeat("X: y\r\n", 2000)+"\r\n"), want: "431 closed"},
		{name: "chunked over the limit", send: post("Transfer-Encoding: chunked\r\n", "2000\r\n"+strings.Repeat("x", 0x2000)+"\r\n0\r\n\r\n"), want: "413 closed"},
		{name: "chunks over the limit together", send: post("Transfer-Encoding: chunked\r\n", strings.Repeat("ff\r\n"+strings.Repeat(" ", 0xff)+"\r\n", 20)+"0\r\n\r\n"), want: "413 closed"},
		{name: "a chunk of 1 GiB announced", send: post("Transfer-Encoding: chunked\r\n", "40000000\r\nx"), want: "413 closed"},
		{name: "chunked ends early", send: post("Transfer-Encoding: chunked\r\n", "5\r\n{"), want: "400 half"},
		{name: "chunked without chunks", send: post("Transfer-Encoding: chunked\r\n", ""), want: "half"},
		{name: "chunked without a last chunk", send: post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n"), want: "half"},
		{name: "chunked without the end of the trailers", send: post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n"), want: "400 half"},
	}
	for _, trailer := range []string{"Content-Length: 0", "Transfer-Encoding: chunked", "Host: y", "Authorization: Bearer x", "Content-Type: text/plain", "Connection: keep-alive",
		"Trailer: X", "Cookie: a=b", "bad trailer", "X : y", "X\x00: y", "X: \x00"} {
		cases = append(cases, hostile{name: "trailer " + short(trailer), send: post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n"+trailer+"\r\n\r\n"+smuggled), want: "400 closed"})
	}
	for _, body := range []string{
		"g\r\n{}\r\n0\r\n\r\n", "-2\r\n{}\r\n0\r\n\r\n", "+2\r\n{}\r\n0\r\n\r\n", "0x2\r\n{}\r\n0\r\n\r\n", " 2\r\n{}\r\n0\r\n\r\n", "\t2\r\n{}\r\n0\r\n\r\n", "\r\n2\r\n{}\r\n0\r\n\r\n",
		"2 2\r\n{}\r\n0\r\n\r\n", "2,\r\n{}\r\n0\r\n\r\n", "2\n{}\n0\n\n", "2\n{}\r\n0\r\n\r\n", "2\r{}\r\n0\r\n\r\n", "2\r\n{}\n0\r\n\r\n", "2\r\n{}0\r\n\r\n", "2\r\n{}\r0\r\n\r\n", "2\r\n{} \r\n0\r\n\r\n",
		"1\r\n{}\r\n0\r\n\r\n", "3\r\n{}\r\n0\r\n\r\n", "2.0\r\n{}\r\n0\r\n\r\n", "2h\r\n{}\r\n0\r\n\r\n", "2_0\r\n{}\r\n0\r\n\r\n", "\xef\xbc\x92\r\n{}\r\n0\r\n\r\n",
		"ffffffffffffffff\r\n{}\r\n0\r\n\r\n", "10000000000000000\r\n{}\r\n0\r\n\r\n", "10000000000000002\r\n{}\r\n0\r\n\r\n", "7fffffffffffffff\r\n{}\r\n0\r\n\r\n", "8000000000000000\r\n{}\r\n0\r\n\r\n", "fffffffffffffffe\r\n{}\r\n0\r\n\r\n",
		strings.Repeat("0", 300) + "2\r\n{}\r\n0\r\n\r\n", "2;a\n\r\n{}\r\n0\r\n\r\n", "2;a\rb\r\n{}\r\n0\r\n\r\n", "2 ;a=b\r\n{}\r\n0\r\n\r\n", "{}", "\x00", "2\x00\r\n{}\r\n0\r\n\r\n",
	} {
		want := "400 closed"
		if body == "7fffffffffffffff\r\n{}\r\n0\r\n\r\n" {
			want = "400|413 closed"
		}
		cases = append(cases, hostile{name: "chunks " + short(body), send: post("Transfer-Encoding: chunked\r\n", body+smuggled), want: want})
	}
	return cases
}

// lengths are values of Content-Length, and bodies of another length than theirs.
func lengths() []hostile {
	var cases []hostile
	for _, value := range []string{
		"-1", "+2", "2,2", "2, 2", "2;2", "2 2", "0x2", "2.0", "2e0", "2h", "'2'", `"2"`, "", " ", "two", "\xef\xbc\x92", "2\x00", "\x002", "2\x0b", "2_0", "١",
		"9223372036854775808", "18446744073709551616", "18446744073709551618", "-9223372036854775808", "99999999999999999999999999999999", strings.Repeat("9", 3000),
		"2\r\nContent-Length: 2", "2\r\nContent-Length: 3", "3\r\nContent-Length: 2", "0\r\nContent-Length: 2", "2\r\ncontent-length: 2", "2\r\nX: y\r\nContent-Length: 0", "\r\n 2", "2\r\n ", "2\r\n 3", "2\r",
	} {
		cases = append(cases, hostile{name: "length " + short(value), send: post("Content-Length: "+value+"\r\n", "{}"+smuggled), want: "400 closed"})
	}
	for _, field := range []string{"Content-Length : 2", "Content-Length\t: 2", " Content-Length: 2", "Content Length: 2", "Content-Length\x00: 2", "X: y\nContent-Length: 2", "Content-Length: 2\n", "Content-Length\r\n: 2"} {
		cases = append(cases, hostile{name: "length field " + short(field), send: post(field+"\r\n", "{}"+smuggled), want: "400 closed"})
	}
	return append(cases,
		hostile{name: "leading zeros of a length", send: post("Content-Length: 0002\r\n", "{}"), want: "200 open"},
		hostile{name: "blanks around a length", send: post("Content-Length: \t 2 \t\r\n", "{}"), want: "200 open"},
		hostile{name: "a POST without a length", send: post("", ""), want: "400 open"}, // an empty body is not JSON
		hostile{name: "a POST without a length, and a body", send: post("", "{}\r\n\r\n"), want: "400 400 closed"},
		hostile{name: "a GET with a body", send: get("/health", "Content-Length: 6\r\n") + "0\r\n\r\nX", want: "200 open"},
		hostile{name: "a GET whose body is a request", send: get("/health", fmt.Sprintf("Content-Length: %d\r\n", len(smuggled))) + smuggled, want: "200 open"},
		hostile{name: "a HEAD whose body is a request", send: "HEAD /health HTTP/1.1\r\nHost: x\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(smuggled)) + smuggled, want: "200 open", head: true},
		hostile{name: "a DELETE whose body is a request", send: "DELETE /api/v1/toolsets HTTP/1.1\r\nHost: x\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(smuggled)) + smuggled, want: "405 open"},
		hostile{name: "an OPTIONS whose body is a request", send: "OPTIONS /api/v1/toolsets HTTP/1.1\r\nHost: x\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(smuggled)) + smuggled, want: "204 open"},
		hostile{name: "a body of an unknown path is a request", send: "POST /nothing HTTP/1.1\r\nHost: x\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(smuggled)) + smuggled, want: "404 open"},
		hostile{name: "a body of the wrong type is a request", send: "POST /api/v1/discover HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(smuggled)) + smuggled, want: "415 open"},
		hostile{name: "shorter than its length", send: post("Content-Length: 10\r\n", "{}"), want: "400 half"},
		hostile{name: "over the limit", send: post("Content-Length: 5000\r\n", strings.Repeat("x", 5000)), want: "413 closed"},
		hostile{name: "over the limit, and a request in it", send: post("Content-Length: 5000\r\n", smuggled+smuggled), want: "413 closed"},
		hostile{name: "1 TiB announced", send: post("Content-Length: 1099511627776\r\n", "{"), want: "413 closed"},
		hostile{name: "the largest length", send: post("Content-Length: 9223372036854775807\r\n", "{"), want: "413|400 closed"},
		hostile{name: "a GET over the limit", send: get("/health", "Content-Length: 5000\r\n") + strings.Repeat("x", 5000), want: "413 closed"},
	)
}
