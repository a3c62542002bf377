package backends

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		if err := Main(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestEndpointsBehaveAndAreRecorded(t *testing.T) {
	const delay = 50 * time.Millisecond
	f, err := Start(delay, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	client := &http.Client{Timeout: testenv.Patience, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	get := func(url string) time.Duration {
		began := time.Now()
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body) // otherwise the connection is not reused
		_ = res.Body.Close()
		if res.StatusCode != 200 {
			t.Errorf("%s: %s", url, res.Status)
		}
		return time.Since(began)
	}
	get(f.URL(OK, 1))
	if err := f.Reset(); err != nil {
		t.Fatal(err)
	}
	get(f.URL(OK, 1))
	time.Sleep(2 * Tick)
	get(f.URL(OK, 1))
	get(f.URL(OK, 2))
	if d := get(f.URL(Slow, 3)); d < delay {
		t.Errorf("the slow one answered after %v", d)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL(Hang, 4), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Do(req); err == nil {
		t.Error("the hanging one answered")
	}

	s, err := f.Stats()
	if err != nil {
		t.Fatal(err)
	}
	ok := s.Classes[OK]
	if ok.Requests != 3 || ok.Endpoints != 2 || len(ok.Gaps) != 1 || ok.Gaps[0] < 2*Tick || len(ok.PerTick) < 3 {
		t.Errorf("%+v", ok)
	}
	if s.Classes[Slow].Requests != 1 || s.Classes[Hang].Requests != 1 || s.MostWaiting < 1 || s.Most < 2 {
		t.Errorf("%+v", s)
	}
}
