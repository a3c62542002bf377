package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"kubernaut.io/dynamic-toolset/harness/load"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// byHand sends a load for some time, and prints a summary. It returns the number of
// lost requests.
func byHand(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	flags := flag.NewFlagSet("loadagent run", flag.ContinueOnError)
	path := flags.String("config", "", "")
	length := flags.Duration("for", 10*time.Second, "")
	records := flags.String("records", "", "")
	if err := parse(flags, args, stdout); err != nil {
		return 0, err
	}
	config, err := readConfig(*path, stdin)
	if err != nil {
		return 0, err
	}
	if *length <= 0 {
		return 0, fmt.Errorf("--for is %v; it must be more than 0", *length)
	}
	write, end, err := writeRecords(*records)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, *length)
	defer cancel()
	var t table
	var writeErr error
	summary, err := load.Run(ctx, config, func(r record.Request) {
		t.add(&r)
		writeErr = cmp.Or(writeErr, write(r))
	})
	if err := errors.Join(err, writeErr, end()); err != nil {
		return 0, err
	}
	return t.lost, t.print(stdout, &summary)
}

func readConfig(path string, stdin io.Reader) (c load.Config, err error) {
	var data []byte
	switch path {
	case "":
		return c, errors.New("say with --config what load to send (see --help)")
	case "-":
		data, err = io.ReadAll(stdin)
	default:
		data, err = os.ReadFile(path)
	}
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		return c, fmt.Errorf("--config: %w", err)
	}
	return c, nil
}

// A table summarizes requests.
type table struct {
	latencies map[record.Class][]time.Duration
	outcomes  map[record.Class]map[record.Outcome]int
	first     map[record.Outcome]record.Request
	pods      map[string]int
	lost      int
}

func (t *table) add(r *record.Request) {
	if t.latencies == nil {
		t.latencies = map[record.Class][]time.Duration{}
		t.outcomes = map[record.Class]map[record.Outcome]int{}
		t.first = map[record.Outcome]record.Request{}
		t.pods = map[string]int{}
	}
	t.latencies[r.Class] = append(t.latencies[r.Class], r.Latency())
	if t.outcomes[r.Class] == nil {
		t.outcomes[r.Class] = map[record.Outcome]int{}
	}
	t.outcomes[r.Class][r.Outcome]++
	if r.Pod != "" {
		t.pods[r.Pod]++
	}
	if r.Failed() {
		t.lost++
		if _, there := t.first[r.Outcome]; !there {
			t.first[r.Outcome] = *r
		}
	}
}

func (t *table) print(out io.Writer, s *load.Summary) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "class\tsent\tlost\tskipped\tconnections\tp50\tp99\tmax\tgenerator late p99\t")
	for _, c := range s.Clients {
		l := t.latencies[c.Class]
		slices.Sort(l)
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%v\t%v\t%v\t%v\t\n", c.Class, c.Sent, c.Sent-t.outcomes[c.Class][record.OK],
			c.Skipped, c.Opened, at(l, 50), at(l, 99), at(l, 100), c.Late.Round(time.Microsecond))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, o := range record.Failures {
		if r, there := t.first[o]; there {
			n := 0
			for _, of := range t.outcomes {
				n += of[o]
			}
			fmt.Fprintf(out, "%d x %s; the first, %s at %s: %s\n", n, o, r.Class, r.End.Format("15:04:05.000"), r.Detail)
		}
	}
	pods := make([]string, 0, len(t.pods))
	for pod := range t.pods {
		pods = append(pods, pod)
	}
	slices.Sort(pods)
	for _, pod := range pods {
		if _, err := fmt.Fprintf(out, "%s answered %d\n", pod, t.pods[pod]); err != nil {
			return err
		}
	}
	return nil
}

// at returns a percentile of sorted durations.
func at(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*percent/100].Round(10 * time.Microsecond)
}
