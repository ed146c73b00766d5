package record

import "time"

// The places where the measured service keeps its data.
const (
	Embedded = "embedded" // the engine in its own process
	Server   = "server"   // a ClickHouse server
)

// Outcome is what a scenario found, with all that is needed to take the measurement again.
type Outcome struct {
	Scenario string `json:"scenario"`
	// ClickHouse is where the service kept its data; empty is Embedded.
	ClickHouse string    `json:"clickhouse,omitempty"`
	Summary    string    `json:"summary"`
	Date       time.Time `json:"date"`
	Commit     string    `json:"commit"`
	Command    string    `json:"command"`
	Machine    Machine   `json:"machine"`
	Versions   []string  `json:"versions"`
	// Settings say how it was measured, a line each.
	Settings []string `json:"settings"`
	Tables   []Table  `json:"tables,omitempty"`
	// Verdicts compare what was found with what the project promises itself.
	Verdicts []Verdict `json:"verdicts,omitempty"`
	// Notes are for the reader: what limits the measurement, what was left out and why.
	Notes []string `json:"notes,omitempty"`
	// Figures are the numbers by name, for programs. Times are in nanoseconds.
	Figures map[string]float64 `json:"figures,omitempty"`
	// Curves are latency against load.
	Curves []Curve `json:"curves,omitempty"`
}

// Table is numbers for people.
type Table struct {
	Title  string     `json:"title"`
	Header []string   `json:"header"`
	Rows   [][]string `json:"rows"`
}

// Verdict is a target and whether it was met.
type Verdict struct {
	What   string `json:"what"`
	Target string `json:"target"`
	Found  string `json:"found"`
	Met    bool   `json:"met"`
}

// Curve is one service's latency against load.
type Curve struct {
	Name   string       `json:"name"`
	Points []CurvePoint `json:"points"`
}

// CurvePoint is latency at one load. Times are in nanoseconds.
type CurvePoint struct {
	Offered  float64 `json:"offered"`
	Achieved float64 `json:"achieved"`
	P50      int64   `json:"p50"`
	P99      int64   `json:"p99"`
	P999     int64   `json:"p999"`
}

// Note adds a note, unless it is there already.
func (o *Outcome) Note(text string) {
	for _, other := range o.Notes {
		if other == text {
			return
		}
	}
	o.Notes = append(o.Notes, text)
}

// Figure adds a number for programs; times are nanoseconds.
func (o *Outcome) Figure(name string, value float64) {
	if o.Figures == nil {
		o.Figures = make(map[string]float64)
	}
	o.Figures[name] = value
}

// Judge adds a verdict.
func (o *Outcome) Judge(what, target, found string, met bool) {
	o.Verdicts = append(o.Verdicts, Verdict{what, target, found, met})
}

// Add appends tables.
func (o *Outcome) Add(tables ...Table) { o.Tables = append(o.Tables, tables...) }

// Describe adds lines that say how it was measured.
func (o *Outcome) Describe(settings ...string) { o.Settings = append(o.Settings, settings...) }

// OnServer says whether the service kept its data in a ClickHouse server.
func (o *Outcome) OnServer() bool { return o.ClickHouse == Server }
