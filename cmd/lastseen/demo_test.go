package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// demo is a running lastseen demo and what it printed.
type demo struct {
	process *exec.Cmd
	rest    chan struct{} // closed when it has written everything
	guide   string
}

// startDemo returns when the demo has printed its guide to the end.
func startDemo(t *testing.T, dir string) *demo {
	t.Helper()
	d := &demo{process: exec.Command(binary, "demo", "--addr", "127.0.0.1:0", "--data-dir", dir, "--vehicles", "4", "--past", "2h"), rest: make(chan struct{})}
	stdout, err := d.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	d.process.Stderr = &stderr
	if err := d.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.process.ProcessState == nil {
			d.process.Process.Kill()
			d.process.Wait()
		}
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		d.guide += lines.Text() + "\n"
		if strings.Contains(lines.Text(), "Ctrl-C") {
			go func() {
				defer close(d.rest)
				for lines.Scan() {
				}
			}()
			return d
		}
	}
	t.Fatalf("the demo ended early: %v\n%s\n%s", d.process.Wait(), d.guide, stderr.String())
	return nil
}

var curlLine = regexp.MustCompile(`(?m)^curl -s -H 'Authorization: Bearer (ak_\w+)' '(http://[^']+)'$`)

// try makes the requests of the printed curl lines and returns their answers, which must be good.
func (d *demo) try(t *testing.T) (answers []string) {
	t.Helper()
	found := curlLine.FindAllStringSubmatch(d.guide, -1)
	if len(found) != 5 {
		t.Fatalf("%d curl lines, want 5:\n%s", len(found), d.guide)
	}
	for _, line := range found {
		base, rest, _ := strings.Cut(line[2], "/tracking")
		path, query, _ := strings.Cut("/tracking"+rest, "?")
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path+"?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+line[1])
		response, err := requests.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var answer json.RawMessage
		err = json.NewDecoder(response.Body).Decode(&answer)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s %v", line[2], response.StatusCode, answer, err)
		}
		answers = append(answers, string(answer))
	}
	return answers
}

func TestTheDemoShowsAFleetThatDrives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sessions := regexp.MustCompile(`session_id=(\w+)`)
	var known string
	for run := range 2 { // the second goes on with what the first left
		d := startDemo(t, dir)
		answers := d.try(t)
		var first dataPoint
		var past wireHistory
		var page wirePage
		for i, into := range []any{&first, &past, &page} {
			if err := json.Unmarshal([]byte(answers[i]), into); err != nil {
				t.Fatalf("%v in %s", err, answers[i])
			}
		}
		if age := time.Since(first.Timestamp); age > time.Minute || len(past.Points) < 10 || page.Total != 4 {
			t.Errorf("last seen %v ago, %d points of the past, %d sessions", age, len(past.Points), page.Total)
		}
		if run == 1 && !strings.Contains(answers[2]+answers[3], known) {
			t.Errorf("the second run does not have the first one's session %s", known)
		}
		known = sessions.FindStringSubmatch(d.guide)[1]
		d.waitForMove(t, first)
		if err := d.process.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-d.rest
		if err := d.process.Wait(); err != nil {
			t.Errorf("SIGTERM: %v", err)
		}
	}
}

// waitForMove polls the first curl line until the vehicle has reported from somewhere else.
func (d *demo) waitForMove(t *testing.T, first dataPoint) {
	t.Helper()
	deadline := time.After(startTimeout)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		var now dataPoint
		if err := json.Unmarshal([]byte(d.try(t)[0]), &now); err != nil {
			t.Fatal(err)
		}
		if now.Timestamp.After(first.Timestamp) && fmt.Sprint(now.Location) != fmt.Sprint(first.Location) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the vehicle does not move")
		}
	}
}
