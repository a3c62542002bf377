package cri

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// A journal is the runtime's own log.
type journal struct {
	mu sync.Mutex
	w  io.Writer
}

// line writes a line with the time. If this fails, nothing else should.
func (j *journal) line(format string, args ...any) {
	if j.w == nil {
		return
	}
	text := time.Now().UTC().Format("15:04:05.000") + " " + oneLine(fmt.Sprintf(format, args...)) + "\n"
	j.mu.Lock()
	defer j.mu.Unlock()
	_, _ = io.WriteString(j.w, text)
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " | ") }

// intercept logs each call. Calls that only read are logged if they fail, since the
// kubelet makes several per second.
func (j *journal) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	start := time.Now()
	answer, err := handle(ctx, req)
	name := path.Base(info.FullMethod)
	took := time.Since(start).Round(100 * time.Microsecond)
	switch {
	case err != nil:
		j.line("%s failed after %v: %v", name, took, err)
	case !onlyLooks(name):
		j.line("%s took %v", name, took)
	}
	return answer, err
}

func onlyLooks(method string) bool {
	return strings.HasPrefix(method, "List") || strings.HasSuffix(method, "Status") || strings.HasSuffix(method, "Stats") ||
		method == "Version" || method == "ImageFsInfo" || method == "RuntimeConfig"
}
