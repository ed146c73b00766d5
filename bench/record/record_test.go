package record

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var testOrder = []string{"last-seen", "history"}

func testOutcome(scenario string, found string) *Outcome {
	o := &Outcome{
		Scenario: scenario, Summary: "what it says", Date: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), Commit: "abc", Command: "lastseen bench " + scenario,
		Machine: Machine{CPU: "a processor", Cores: 2}, Versions: []string{"go1.26"}, Settings: []string{"64 connections"},
		Tables: []Table{{Title: "Closed loop", Header: []string{"", "requests/s"}, Rows: [][]string{{"**lastseen**", found}}}},
	}
	o.Judge("throughput", "at least 90 %", found, true)
	o.Note("a note")
	o.Note("a note")
	return o
}

func TestARecordKeepsTheNewestOutcomeOfEveryScenario(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	withCurve := testOutcome("last-seen", "91 %")
	withCurve.Curves = []Curve{{Name: "bare", Points: []CurvePoint{{Offered: 1000, Achieved: 999, P50: 50_000, P99: 90_000, P999: 4_000_000}}}}
	for _, outcomes := range [][]*Outcome{{testOutcome("history", "4.0 ×"), withCurve}, {testOutcome("history", "4.5 ×")}} {
		if err := Write(dir, outcomes, testOrder); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, want := range []string{"91 %", "4.5 ×", "a processor, 2 cores", "commit abc", "`lastseen bench history`", "![Latency against load](benchmarks.svg)", "1 May 2026"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "4.0 ×") || strings.Count(page, "a note") != 2 {
		t.Errorf("the page keeps what is old, or repeats itself:\n%s", page)
	}
	if strings.Index(page, "## last-seen") > strings.Index(page, "## history") {
		t.Error("the scenarios are out of order")
	}
	drawing, err := os.ReadFile(filepath.Join(dir, "benchmarks.svg"))
	if err != nil {
		t.Fatal(err)
	}
	checkXML(t, string(drawing))
}

func TestThePageShowsBothClickHousesSideBySide(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	onServer := testOutcome("history", "2.6 ×")
	onServer.ClickHouse, onServer.Verdicts[0].Target = Server, "at least 80 %"
	onServer.Judge("only there", "at least 1", "0", false)
	for _, outcomes := range [][]*Outcome{{onServer}, {testOutcome("last-seen", "91 %"), testOutcome("history", "4.0 ×")}} {
		if err := Write(dir, outcomes, testOrder); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, want := range []string{
		"| [history](#history) | throughput | at least 90 %; on a server at least 80 % | 4.0 ×, met | 2.6 ×, met |\n",
		"| [last-seen](#last-seen) | throughput | at least 90 % | 91 %, met |  |\n",
		"| [history](#history) | only there | at least 1 |  | 0, **missed** |\n",
		"### history on a ClickHouse server\n",
	} {
		if strings.Count(page, want) != 1 {
			t.Errorf("the page has %q %d times:\n%s", want, strings.Count(page, want), page)
		}
	}
	if strings.Count(page, "## history\n") != 1 || strings.Index(page, "### history on") < strings.Index(page, "## history\n") {
		t.Errorf("the sections are not one under the other:\n%s", page)
	}
}

func TestABrokenRecordIsNotOverwritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "benchmarks.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, []*Outcome{testOutcome("history", "4")}, testOrder); err == nil || !strings.Contains(err.Error(), "delete it") {
		t.Errorf("the error is %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "{" {
		t.Errorf("the record is now %q, %v", text, err)
	}
}

func checkXML(t *testing.T, text string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("the plot is no XML: %v\n%s", err, text)
		}
	}
}

func TestAPlotHoldsEveryPointInsideItsFrame(t *testing.T) {
	t.Parallel()
	x, y := axes([]Curve{{Points: []CurvePoint{{Offered: 123, P50: 60_000, P99: 100_000, P999: 3_000_000_000}, {Offered: 98_000, P50: 70_000, P99: 1, P999: 2}}}})
	for _, v := range []float64{123, 98_000} {
		if at := x.at(v); at < plotLeft || at > plotWidth-plotRight {
			t.Errorf("%v requests a second is drawn at %v", v, at)
		}
	}
	for _, v := range []float64{1, 60_000, 3e9} {
		if at := y.at(v); at < plotTop || at > plotHeight-plotBottom {
			t.Errorf("%v ns is drawn at %v", v, at)
		}
	}
	if y.at(60_000) < y.at(3e9) || x.at(123) > x.at(98_000) {
		t.Error("an axis runs the wrong way")
	}
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		Thousands(0): "0", Thousands(999): "999", Thousands(1000): "1,000", Thousands(1234567.8): "1,234,568", Thousands(-1234): "-1,234",
		Span(999): "1 µs", Span(1_500_000): "1.50 ms", Span(250e6): "250 ms", Span(2.5e9): "2.50 s", Signed(-2e6): "−2.00 ms",
		Percent(0.905): "90 %", wholeSpan(1e4): "10 µs", wholeSpan(1e6): "1 ms", wholeSpan(1e9): "1 s",
	} {
		if got != want {
			t.Errorf("wrote %q, want %q", got, want)
		}
	}
}
