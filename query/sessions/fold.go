package sessions

import (
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// fold returns text as searches compare it: without the differences of case, of composed and decomposed letters
// and of compatible forms, such as full width. Of ASCII that is the text in small letters. Folding what is folded
// changes nothing.
func fold(text string) string {
	return string(appendFold(nil, text))
}

// appendFold appends the folded text to dst. It is the NFKC form of the full case folding (Unicode 16, D146).
func appendFold(dst []byte, text string) []byte {
	start := len(dst)
	for i := range len(text) {
		c := text[i]
		if c >= 0x80 {
			return append(dst[:start], foldRunes(text)...)
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// foldRunes is fold of any text.
func foldRunes(text string) string {
	folder := cases.Fold() // may keep state, so nobody else has it
	if isLatin(text) && norm.NFKC.IsNormalString(text) {
		if once := folder.String(text); norm.NFKC.IsNormalString(once) {
			return once // as nearly all are, which takes a third of the time
		}
	}
	once := norm.NFKC.String(folder.String(norm.NFD.String(text)))
	return norm.NFKC.String(folder.String(once))
}

// isLatin reports whether a text has no letters that are composed of several characters, nor such as come in several
// orders.
func isLatin(text string) bool {
	for _, r := range text {
		if r >= 0x300 || r == utf8.RuneError {
			return false
		}
	}
	return true
}
