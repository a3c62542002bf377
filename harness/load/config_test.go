package load

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

func valid() Config {
	return Config{
		Address: "10.96.0.20:80", Host: "toolset", Header: map[string]string{"X-A": "b"}, PodHeader: "X-Served-By",
		DialTimeout: time.Second, ResponseTimeout: 1500 * time.Millisecond, StreamIdleTimeout: -1, Goodbye: "end", Problems: true,
		Clients: []Client{
			{Class: record.Blind, Rate: 320, Connections: 40, MaxInFlight: 10}, {Class: record.New, Rate: 0.5},
			{Class: record.Slow, Rate: 5, Duration: 8 * time.Second}, {Class: record.Stream, Connections: 2},
		},
		Targets: []Target{
			{Path: "/a?b=c", Weight: 3, Header: map[string]string{"If-None-Match": `"x"`}, ExpectStatus: 304},
			{Path: "/no", ExpectStatus: 404, ExpectProblem: true, ExpectJSON: true},
			{Method: "POST", Path: "/up", Body: "hello", SlowUpload: true, Classes: []record.Class{record.Slow}},
			{Path: "/slow?for={duration}", Classes: []record.Class{record.Slow}},
			{Path: "/watch", Classes: []record.Class{record.Stream}},
		},
	}
}

// The agent can read what a harness writes.
func TestConfigInJSON(t *testing.T) {
	want := valid()
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(data); !strings.Contains(text, `"responseTimeout":"1.5s"`) || !strings.Contains(text, `"duration":"8s"`) {
		t.Error(text)
	}
	var got Config
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
}

func TestConfigInWrongJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"adress": "a:1"}`:                              `"adress"`,
		`{"clients": [{"class": "new", "rps": 1}]}`:      `"rps"`,
		`{"targets": [{"url": "/"}]}`:                    `"url"`,
		`{"dialTimeout": "2 seconds"}`:                   `write one like 1.5s`,
		`{"clients": [{"class":"slow","duration": 3}]}`:  `duration`,
		`{"clients": [{"class":"slow","duration":"3"}]}`: `write one like 1.5s`,
	} {
		var c Config
		if err := json.Unmarshal([]byte(text), &c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", text, err, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	c := Config{Address: "a:1", Clients: []Client{{Class: record.Blind, Rate: 320}, {Class: record.Slow, Rate: 1}, {Class: record.Stream}}, Targets: []Target{{Path: "/"}}}
	got := c.withDefaults()
	if got.Host != "a:1" || got.DialTimeout != 2*time.Second || got.ResponseTimeout != 5*time.Second || got.StreamIdleTimeout != 45*time.Second ||
		got.Goodbye != "goodbye" || got.Dial == nil {
		t.Errorf("%+v", got)
	}
	if got.Clients[0].Connections != 40 || got.Clients[0].MaxInFlight != 2000 || got.Clients[1].Duration != 8*time.Second || got.Clients[2].Connections != 8 {
		t.Errorf("%+v", got.Clients)
	}
	if c.Clients[0].Connections != 0 || c.Targets[0].Method != "" {
		t.Error("the caller's configuration was changed")
	}
}

// Each mistake is named.
func TestValidate(t *testing.T) {
	for _, test := range []struct {
		want   string
		change func(*Config)
	}{
		{"is not host:port", func(c *Config) { c.Address = "10.96.0.20" }},
		{"needs a host", func(c *Config) { c.Address = ":80" }},
		{"from 1 to 65535", func(c *Config) { c.Address = "a:0" }},
		{"from 1 to 65535", func(c *Config) { c.Address = "a:http" }},
		{"host", func(c *Config) { c.Host = "a\r\nb" }},
		{"podHeader", func(c *Config) { c.PodHeader = "X Served By" }},
		{"goodbye", func(c *Config) { c.Goodbye = "a\nb" }},
		{"dialTimeout", func(c *Config) { c.DialTimeout = -1 }},
		{"responseTimeout", func(c *Config) { c.ResponseTimeout = time.Hour }},
		{"no header's name", func(c *Config) { c.Header = map[string]string{"": "a"} }},
		{"line break", func(c *Config) { c.Header = map[string]string{"A": "b\r\nC: d"} }},
		{"leave it out", func(c *Config) { c.Targets[0].Header = map[string]string{"connection": "close"} }},
		{"clients is empty", func(c *Config) { c.Clients = nil }},
		{"no class", func(c *Config) { c.Clients[0].Class = "fast" }},
		{"twice", func(c *Config) { c.Clients[0].Class = record.New; c.Clients[0].Connections = 0 }},
		{"no target lists", func(c *Config) { c.Targets = c.Targets[:4] }},
		{"rate is 0", func(c *Config) { c.Clients[0].Rate = 0 }},
		{"rate is NaN", func(c *Config) { c.Clients[0].Rate = math.NaN() }},
		{"rate is +Inf", func(c *Config) { c.Clients[1].Rate = math.Inf(1) }},
		{"maxInFlight", func(c *Config) { c.Clients[0].MaxInFlight = -1 }},
		{"connections is -1", func(c *Config) { c.Clients[0].Connections = -1 }},
		{"connections has no meaning", func(c *Config) { c.Clients[1].Connections = 1 }},
		{"duration is 1ms", func(c *Config) { c.Clients[2].Duration = time.Millisecond }},
		{"class slow only", func(c *Config) { c.Clients[1].Duration = time.Second }},
		{"streams have no rate", func(c *Config) { c.Clients[3].Rate = 1 }},
		{"streams have no maxInFlight", func(c *Config) { c.Clients[3].MaxInFlight = 1 }},
		{"no HTTP method", func(c *Config) { c.Targets[0].Method = "GET /" }},
		{"must start with /", func(c *Config) { c.Targets[0].Path = "a" }},
		{"visible ASCII", func(c *Config) { c.Targets[0].Path = "/a b" }},
		{"body has", func(c *Config) { c.Targets[0].Body = strings.Repeat("x", maxBody+1) }},
		{"weight", func(c *Config) { c.Targets[0].Weight = -1 }},
		{"no class", func(c *Config) { c.Targets[0].Classes = []record.Class{"fast"} }},
		{"not by both", func(c *Config) { c.Targets[2].Path = "/{duration}" }},
		{"two bytes at least", func(c *Config) { c.Targets[2].Body = "a" }},
		{"for the class slow it needs", func(c *Config) { c.Targets[2].SlowUpload = false }},
		{"for the class slow only", func(c *Config) { c.Targets[2].Classes = nil }},
		{"of a stream neither", func(c *Config) { c.Targets[4].ExpectJSON = true }},
		{"expectStatus is 100", func(c *Config) { c.Targets[0].ExpectStatus = 100 }},
		{"expectProblem needs", func(c *Config) { c.Targets[1].ExpectStatus = 0 }},
		{"HEAD", func(c *Config) { c.Targets[1].Method = "HEAD" }},
	} {
		c := valid()
		test.change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v; want %q", err, test.want)
		}
	}
	c := valid()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}
