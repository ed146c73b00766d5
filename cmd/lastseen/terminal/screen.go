// Package terminal writes to the terminals of people. Whatever came from a file or a server appears there
// as text and commands the terminal nothing, log lines are made to be read, and a line begins at the left
// edge, also after another program has left the cursor elsewhere.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"
)

// Screen is a terminal. What is written to it is escaped but for line breaks and tabs. It is safe for
// concurrent use.
type Screen struct {
	file    *os.File
	plain   bool // no colours
	dumb    bool // a terminal that understands no commands
	mu      sync.Mutex
	partial []byte // the beginning of a character whose rest has not been written yet
}

// On returns a Screen on a terminal, and any other file as it is.
func On(file *os.File) io.Writer {
	if !term.IsTerminal(int(file.Fd())) {
		return file
	}
	kind := os.Getenv("TERM")
	dumb := kind == "" || kind == "dumb"
	return &Screen{file: file, dumb: dumb, plain: dumb || os.Getenv("NO_COLOR") != ""}
}

// Is reports whether a writer is a Screen.
func Is(w io.Writer) bool {
	_, ok := w.(*Screen)
	return ok
}

// Write implements io.Writer.
func (s *Screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := append(s.partial, p...)
	whole := len(text)
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if tail := text[len(text)-back:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				whole -= back
			}
			break
		}
	}
	shown := escape(string(text[:whole]), "\n\t")
	s.partial = append([]byte(nil), text[whole:]...)
	if _, err := io.WriteString(s.file, shown); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Raw is the terminal itself, for those who command it.
func (s *Screen) Raw() io.Writer { return s.file }

// line writes a line that is escaped already, from the left edge on.
func (s *Screen) line(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := io.WriteString(s.file, s.fresh()+text+"\n")
	return err
}

// fresh moves the cursor to the left edge, of the next line when something stands on this one. Where the
// cursor is nobody knows without asking the terminal, which would answer by the keyboard. So as many
// spaces as a line is wide are written: at the left edge they end on the same line, and elsewhere on the
// next one.
func (s *Screen) fresh() string {
	if s.dumb {
		return ""
	}
	width, _, err := term.GetSize(int(s.file.Fd()))
	if err != nil || width <= 0 {
		return ""
	}
	const eraseLine = "\x1b[K"
	return strings.Repeat(" ", width) + "\r" + eraseLine
}

// Say writes a line for people, which on a terminal begins at the left edge.
func Say(w io.Writer, format string, values ...any) {
	text := fmt.Sprintf(format, values...)
	if s, ok := w.(*Screen); ok {
		_ = s.line(escape(text, "\n\t")) // there is nobody to tell
		return
	}
	fmt.Fprintln(w, text)
}
