package contestant

import (
	"errors"
	"testing"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

func TestEachContestantAnswersAsOurs(t *testing.T) {
	ours := start(t, Ours, Options{CPU: AnyCPU})
	want, err := Fetch(t.Context(), ours.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range Workloads() {
		a := want[w]
		t.Logf("%s: %d, body %d, size %d\n%q", w, a.Status, len(a.Body), a.Size, a.Header)
	}
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_ = dir
			s, err := Start(t.Context(), name, Options{Dir: t.TempDir(), Binary: binary, CPU: AnyCPU, Answers: want})
			if errors.Is(err, ErrMissing) {
				testenv.Missing(t, "nginx", err.Error())
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Stop()
			set, err := Verify(t.Context(), name, s.Addr(), want)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(s.Version(), s.PIDs(), set[NotModified].Size)
			for _, w := range Workloads() {
				a := set[w]
				t.Logf("%s: %d, body %d, size %d\n%q", w, a.Status, len(a.Body), a.Size, a.Header)
			}
		})
	}
}
