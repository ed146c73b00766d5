// Package doctor looks at a lastseen service and at its store from outside and says what must be mended. It changes nothing.
//
// service.go asks the running service, metrics.go reads what it says of itself, store.go opens the store and judges its
// condition, writer.go watches who writes, certificate.go reads the dates of certificates.
package doctor

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"lastseen/schema"
)

// Status is how bad a finding is.
type Status string

// The statuses, from good to bad.
const (
	OK   Status = "ok"
	Warn Status = "warn" // it works, and something will go wrong or is not known
	Fail Status = "fail" // something must be mended
)

// Finding is what is known of one subject.
type Finding struct {
	Subject string `json:"subject"`
	Status  Status `json:"status"`
	Says    string `json:"says"`
	Mend    string `json:"mend,omitempty"` // what to do
}

// Options say what to look at.
type Options struct {
	Server  string // the service's address, a URL
	Admin   string // HOST:PORT of its metrics; empty for nowhere
	Token   string // a user token of an administrator, to name keys; empty for none
	Store   schema.Options
	Version string // of this program
	// Retention is what the service is to have; nil when nobody says.
	Retention *time.Duration
}

const (
	// askTimeout bounds one question.
	askTimeout = 10 * time.Second
	day        = 24 * time.Hour
)

// examination is a look at everything.
type examination struct {
	Options
	report
	http    *http.Client
	serves  bool    // the service answers
	metrics metrics // nil where there are none
}

// Examine looks at the service and its store, which takes some seconds.
func Examine(ctx context.Context, options Options) []Finding {
	e := &examination{Options: options, http: &http.Client{Timeout: askTimeout}}
	defer e.http.CloseIdleConnections()
	e.examineService(ctx)
	e.examineMetrics(ctx)
	e.examineStore(ctx)
	return e.findings
}

// report is what was found so far.
type report struct{ findings []Finding }

func (r *report) add(status Status, subject, mend, says string, args ...any) {
	r.findings = append(r.findings, Finding{Subject: subject, Status: status, Says: fmt.Sprintf(says, args...), Mend: mend})
}

func (r *report) ok(subject, says string, args ...any) { r.add(OK, subject, "", says, args...) }

// judgeClock says how far a clock is ahead of another one, to within doubt.
func (r *report) judgeClock(whose, others string, ahead, doubt time.Duration) {
	const much, tooMuch = 2 * time.Second, 30 * time.Second
	off := ahead.Abs() - doubt
	if off <= 100*time.Millisecond {
		r.ok("clock", "the clock of %s agrees with %s", whose, others)
		return
	}
	direction := "ahead of"
	if ahead < 0 {
		direction = "behind"
	}
	status, mend := OK, ""
	if off > much {
		status, mend = Warn, "Have the clocks of both machines set by NTP: tokens, keys and points are judged by them."
	}
	if off > tooMuch {
		status = Fail
	}
	r.add(status, "clock", mend, "the clock of %s is %s %s %s", whose, ahead.Abs().Round(100*time.Millisecond), direction, others)
}

// thisMachines is the clock that others are compared with.
const thisMachines = "this machine's"

// bytesText writes a number of bytes for people.
func bytesText(n float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for n >= 1024 && i < len(units)-1 {
		n, i = n/1024, i+1
	}
	return fmt.Sprintf("%.4g %s", n, units[i])
}
