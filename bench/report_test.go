package bench

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lastseen/bench/loadgen"
)

func testOutcome(scenario string, found string) *Outcome {
	o := &Outcome{
		Scenario: scenario, Summary: "what it says", Date: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), Commit: "abc", Command: "lastseen bench " + scenario,
		Machine: Machine{CPU: "a processor", Cores: 2}, Versions: []string{"go1.26"}, Settings: []string{"64 connections"},
		Tables: []Table{{Title: "Closed loop", Header: []string{"", "requests/s"}, Rows: [][]string{{"**lastseen**", found}}}},
	}
	o.verdict("throughput", "at least 90 %", found, true)
	o.note("a note")
	o.note("a note")
	return o
}

func TestARecordKeepsTheNewestOutcomeOfEveryScenario(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	withCurve := testOutcome("last-seen", "91 %")
	withCurve.Curves = []Curve{{Name: "bare", Points: []CurvePoint{{Offered: 1000, Achieved: 999, P50: 50_000, P99: 90_000, P999: 4_000_000}}}}
	for _, outcomes := range [][]*Outcome{{testOutcome("history", "4.0 ×"), withCurve}, {testOutcome("history", "4.5 ×")}} {
		if err := recordIn(dir, outcomes); err != nil {
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

func TestABrokenRecordIsNotOverwritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "benchmarks.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := recordIn(dir, []*Outcome{testOutcome("history", "4")}); err == nil || !strings.Contains(err.Error(), "delete it") {
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

func TestFiguresAreMediansAndRatiosAreTakenRoundByRound(t *testing.T) {
	t.Parallel()
	at := func(rate int64) *loadgen.Measurement {
		return &loadgen.Measurement{Elapsed: time.Second, Served: rate}
	}
	// The machine halves its speed from round to round: the ratio does not change.
	a, b := []*loadgen.Measurement{at(90), at(45), at(22)}, []*loadgen.Measurement{at(100), at(50), at(25)}
	if got := ratio(a, b, throughput); got < 0.87 || got > 0.91 {
		t.Errorf("the ratio is %v, want 0.9", got)
	}
	if got := over(a, throughput); got != 45 {
		t.Errorf("the median is %v, want 45", got)
	}
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("the median of four is %v, want 2.5", got)
	}
	if median(nil) != 0 {
		t.Error("nothing has a median")
	}
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		thousands(0): "0", thousands(999): "999", thousands(1000): "1,000", thousands(1234567.8): "1,234,568", thousands(-1234): "-1,234",
		span(999): "1 µs", span(1_500_000): "1.50 ms", span(250e6): "250 ms", span(2.5e9): "2.50 s", signed(-2e6): "−2.00 ms",
		percent(0.905): "90 %", wholeSpan(1e4): "10 µs", wholeSpan(1e6): "1 ms", wholeSpan(1e9): "1 s",
	} {
		if got != want {
			t.Errorf("wrote %q, want %q", got, want)
		}
	}
}

func TestProcessorTimeIsReadWhateverAProcessIsCalled(t *testing.T) {
	t.Parallel()
	stat, ok := parseStat("42 (a) name (x)) S 7 42 42 0 -1 4194560 100 0 0 0 150 50 20 5 20 0 9 0 12345 1 2")
	if !ok || stat.parent != 7 || stat.cpu != 2250*time.Millisecond {
		t.Errorf("read %+v, %v", stat, ok)
	}
	for _, text := range []string{"", "42 (a) S 7", "42 (a) S x 42 42 0 -1 4194560 100 0 0 0 150 50 20 5 20 0 9"} {
		if _, ok := parseStat(text); ok {
			t.Errorf("%q was read", text)
		}
	}
	if len(allStats()) == 0 {
		t.Error("no process was found, not even this one")
	}
}

func TestWhatCannotBeMeasuredIsRefused(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*Config){
		"an unknown scenario":  func(c *Config) { c.Scenarios = []string{"nope"} },
		"an unknown contender": func(c *Config) { c.Contenders = []string{"nope"} },
		"one organisation":     func(c *Config) { c.Organisations = 1 },
		"no rounds":            func(c *Config) { c.Rounds = 0 },
		"no time":              func(c *Config) { c.Duration = 0 },
	} {
		config := Defaults()
		if err := config.check(); err != nil {
			t.Fatal(err)
		}
		spoil(&config)
		if config.check() == nil {
			t.Errorf("%s passed", name)
		}
	}
}
