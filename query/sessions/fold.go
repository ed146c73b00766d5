package sessions

import (
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
			folder := cases.Fold() // may keep state, so nobody else has it
			once := norm.NFKC.String(folder.String(norm.NFD.String(text)))
			return norm.NFKC.AppendString(dst[:start], folder.String(once))
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
