package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"lastseen/cmd/lastseen/terminal"
)

// progressState is how far something has come. A total of 0 or less is not known.
type progressState struct {
	done, total int64
	text        string
}

// showProgress shows how far something has come until the returned function is called: a bar on a
// terminal, elsewhere a line every few seconds. state is called from a goroutine of its own.
func showProgress(w io.Writer, what string, bytes bool, state func() progressState) (finish func()) {
	show, interval := progressLine(w, what), 5*time.Second
	if screen, ok := w.(*terminal.Screen); ok {
		show, interval = progressBar(screen.Raw(), what, bytes, state().total), 200*time.Millisecond
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				show(state(), false)
			case <-stop:
				show(state(), true)
				return
			}
		}
	}()
	return func() {
		close(stop)
		<-stopped
	}
}

func progressLine(w io.Writer, what string) func(progressState, bool) {
	return func(s progressState, last bool) {
		if last {
			return // what comes next says it
		}
		percent := ""
		if s.total > 0 {
			percent = fmt.Sprintf(" %d %%,", 100*s.done/s.total)
		}
		fmt.Fprintf(w, "%s:%s %s\n", what, percent, s.text)
	}
}

func progressBar(w io.Writer, what string, bytes bool, total int64) func(progressState, bool) {
	if total <= 0 {
		total = -1 // a spinner
	}
	bar := progressbar.NewOptions64(total, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(bytes), progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100*time.Millisecond))
	return func(s progressState, last bool) {
		bar.Describe(terminal.Printable(what + ": " + s.text))
		bar.Set64(s.done) // a bar that cannot be drawn is no reason to stop
		if last {
			bar.Finish()
		}
	}
}
