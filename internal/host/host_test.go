package host

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestCPUTimeSurvivesANameWithParentheses(t *testing.T) {
	d, err := cpuTime("7 (a) b (c)) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 5 0 1 2 3")
	if err != nil || d != 3*time.Second {
		t.Errorf("%v, %v; want 3 s", d, err)
	}
	for _, bad := range []string{"", "7 (a) S 1 2", "7 (a) S 1 7 7 0 -1 4194304 100 0 0 0 x 50 0"} {
		if _, err := cpuTime(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	before, err := Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); time.Since(began) < 100*time.Millisecond; { //nolint:revive // burns CPU
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	after, err := Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after.CPU <= before.CPU || after.Files <= before.Files || after.Resident < 1<<20 || after.Peak < after.Resident/2 {
		t.Errorf("%+v, then %+v", before, after)
	}
	if _, err := Of(-1); err == nil {
		t.Error("no error for a process that is not there")
	}
}

func TestDescribeNamesNoHost(t *testing.T) {
	text := Describe()
	if host, err := os.Hostname(); err == nil && host != "" && strings.Contains(text, host) {
		t.Errorf("%q holds the host's name", text)
	}
	if !strings.Contains(text, "CPUs") || !strings.Contains(text, "GiB") {
		t.Errorf("%q", text)
	}
}
