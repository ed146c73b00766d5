package terminal_test

import (
	"testing"
	"unicode"
	"unicode/utf8"

	"lastseen/cmd/lastseen/terminal"
)

func TestPrintableQuotesWhatCommandsATerminal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                          "",
		"Straße 5, 東京 — naïve":      "Straße 5, 東京 — naïve",
		`a \ and a "quote"`:         `a \ and a "quote"`,
		"\x1b[2J\x1b]0;title\a":     `\x1b[2J\x1b]0;title\a`,
		"one\r\ntwo\tthree":         `one\r\ntwo\tthree`,
		"\u009b31m":                 `\u009b31m`, // CSI in one character
		"user\u202egnp.exe":         `user\u202egnp.exe`,
		"not UTF-8 \xff\x9b, \x7f.": `not UTF-8 \xff\x9b, \x7f.`,
		"\ufffd":                    "\ufffd",
	} {
		if got := terminal.Printable(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("a\x1bb\xffc")
	f.Fuzz(func(t *testing.T, text string) {
		got := terminal.Printable(text)
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Errorf("%q becomes %q, with %q in it", text, got, r)
			}
		}
		if !utf8.ValidString(got) || terminal.Printable(got) != got {
			t.Errorf("%q becomes %q, which is not printable", text, got)
		}
	})
}
