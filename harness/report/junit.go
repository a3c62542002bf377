package report

import (
	"encoding/xml"
	"io"
	"strconv"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// The elements and attributes that common CI systems read
// (https://github.com/testmoapp/junitxml).
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
		Out        string          `xml:"system-out"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure"`
		Skipped *junitSkipped `xml:"skipped"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr"`
	}
)

// causesText says why requests were lost, a line for each cause.
func causesText(run *record.Run) string {
	var b strings.Builder
	for i := range run.Causes {
		c := &run.Causes[i]
		b.WriteString(titleOf(c) + " (" + c.ID + "): " + lostBy(c) + "\n")
	}
	return b.String()
}

// writeJUnit writes junit.xml: a suite with a test case per check, with the evidence of
// a failure. A run without any check gets a failed case, since many CI systems take an
// empty suite for a passed one.
func writeJUnit(w io.Writer, run *record.Run, s *Summary) error {
	suite := junitSuite{
		Name: "rolling update of " + run.Target.Name,
		// The schema has no time zone; readers assume UTC.
		Timestamp: s.From.UTC().Format("2006-01-02T15:04:05"),
		Time:      strconv.FormatFloat(s.To.Sub(s.From).Seconds(), 'f', 3, 64),
		Properties: []junitProperty{
			{"target", run.Target.Name},
			{"cluster", run.Cluster.Driver + " " + run.Cluster.Kubernetes},
			{"scenario", run.Scenario},
			{"harness", run.Version},
			{"requests", strconv.Itoa(s.Sent)},
			{"lost", strconv.Itoa(s.Failed)},
			{"lost-only-by-clients-that-do-not-look", strconv.Itoa(s.OnlyBlind)},
			{"warnings", strconv.Itoa(len(warnings(run)))},
		},
		Out: s.Verdict + "\n" + causesText(run),
	}
	made := 0
	for i := range run.Checks {
		c := &run.Checks[i]
		one := junitCase{Class: "rolling-update." + c.ID, Name: c.Name, Time: "0"}
		switch c.Result {
		case record.Pass:
			made++
			one.Out = "must: " + c.Bound + "\nmeasured: " + c.Measured + "\n"
		case record.Warning: // likewise: to CI it is passed, and the text says what it is
			made++
			one.Out = "WARNING\nshould be: " + c.Bound + "\nmeasured: " + c.Measured + "\n" + strings.Join(c.Evidence, "\n") + "\n"
		case record.Reported: // JUnit has nothing else for it than a passed case
			one.Out = "measured: " + c.Measured + "\n"
		case record.NotChecked:
			suite.Skipped++
			one.Skipped = &junitSkipped{c.Measured}
		default: // an unknown result must not look like a passed one
			made++
			suite.Failures++
			one.Failure = &junitFailure{
				Message: c.Measured,
				Type:    string(c.Result),
				Text: "must: " + c.Bound + "\nmeasured: " + c.Measured + "\n" +
					strings.Join(c.Evidence, "\n") + "\n",
			}
		}
		suite.Cases = append(suite.Cases, one)
	}
	if made == 0 {
		const none = "no check was made, so nothing was verified"
		suite.Failures++
		suite.Cases = append(suite.Cases, junitCase{
			Class: "rolling-update.verification", Name: "something was checked", Time: "0",
			Failure: &junitFailure{Message: none, Type: string(record.Fail), Text: none},
		})
	}
	suite.Tests = len(suite.Cases)

	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", " ")
	err := encoder.Encode(junitSuites{
		Name: "rolling-update", Tests: suite.Tests, Failures: suite.Failures,
		Skipped: suite.Skipped, Time: suite.Time, Suites: []junitSuite{suite},
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, "\n")
	return err
}
