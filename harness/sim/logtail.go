package sim

import (
	"os"
	"strings"
)

// logTail is how many lines of a process's log an error has. It is enough for a stack
// trace and the lines before it.
const logTail = 25

// lastLines returns the last n lines of text, without empty ones at the end.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// tailOf returns the end of a log file, or why there is none.
func tailOf(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	if len(data) == 0 {
		return "(the log is empty)"
	}
	return lastLines(string(data), logTail)
}
