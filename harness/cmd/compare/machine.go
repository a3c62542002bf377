package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// machine says what the comparison was made on, as far as it matters to times:
// nothing by which one machine could be told from its like.
func machine() string {
	text := fmt.Sprintf("%s/%s, %d CPUs", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		if gib := memory(string(info)); gib > 0 {
			text += fmt.Sprintf(", %d GiB of memory", gib)
		}
	}
	return text
}

// memory is the machine's in GiB, rounded, of the text of /proc/meminfo; 0 if it
// does not say.
func memory(meminfo string) int {
	for line := range strings.Lines(meminfo) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "MemTotal:" && fields[2] == "kB" {
			kib, err := strconv.Atoi(fields[1])
			if err != nil {
				return 0
			}
			return (kib + 1<<19) >> 20
		}
	}
	return 0
}
