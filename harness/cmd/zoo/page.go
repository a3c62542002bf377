package main

import (
	"bytes"
	_ "embed" // for the text around the tables
	"fmt"
	"os"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/zoo"
)

// text is the page around the tables.
//
//go:embed page.txt
var text string

// tell prints the table, or writes the page.
func (o *options) tell(results []zoo.Result) error {
	var table, issues bytes.Buffer
	if err := zoo.WriteTable(&table, results); err != nil {
		return err
	}
	if o.write == "" {
		_, err := os.Stdout.Write(table.Bytes())
		return err
	}
	if err := zoo.WriteIssues(&issues, zoo.Servers()); err != nil {
		return err
	}
	right, judged, requests, runs := 0, 0, 0, 0
	for i := range results {
		requests += results[i].Losses.Sent
		runs += results[i].Runs
		if results[i].Err == "" {
			judged++
		}
		if results[i].Right() {
			right++
		}
	}
	summary := fmt.Sprintf("%d of %d verdicts were right, in %d runs with %d requests; %d variants gave none.", right, judged, runs, requests, len(results)-judged)
	page := strings.NewReplacer("%SUMMARY%", summary, "%TABLE%", table.String(), "%ISSUES%", issues.String()).Replace(text)
	return os.WriteFile(o.write, []byte(page), 0o644)
}
