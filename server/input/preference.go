package input

import (
	"bytes"
	"strings"
)

// Preference is one element of a request header such as Accept: what the client takes, in lower case
// and without parameters, and how much it likes it, in thousandths; 0 is not at all.
type Preference struct {
	Value  string
	Weight int
}

// maxPreferences bounds what is looked at of a header; clients send a handful.
const maxPreferences = 64

// Preferences reads the elements of a header's lines (RFC 9110, section 12.4.2). An element that
// cannot be understood is left out.
func Preferences(lines [][]byte) []Preference {
	var all []Preference
	for _, line := range lines {
		for len(line) > 0 && len(all) < maxPreferences {
			var element []byte
			element, line = CutOutsideQuotes(line, ',')
			if p, ok := parsePreference(element); ok {
				all = append(all, p)
			}
		}
	}
	return all
}

func parsePreference(element []byte) (Preference, bool) {
	value, parameters := CutOutsideQuotes(element, ';')
	p := Preference{Value: strings.ToLower(string(bytes.Trim(value, " \t"))), Weight: 1000}
	for len(parameters) > 0 {
		var parameter []byte
		parameter, parameters = CutOutsideQuotes(parameters, ';')
		name, text, found := bytes.Cut(bytes.Trim(parameter, " \t"), []byte("="))
		if !found || !bytes.EqualFold(name, []byte("q")) {
			continue
		}
		var ok bool
		if p.Weight, ok = parseWeight(text); !ok {
			return Preference{}, false
		}
	}
	return p, p.Value != "" && strings.Trim(p.Value, tokenBytes) == ""
}

// tokenBytes are what tokens in lower case are made of (RFC 9110, section 5.6.2), and the slash of
// media types.
const tokenBytes = "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~/"

// parseWeight reads a qvalue: 0 to 1 with at most three decimals.
func parseWeight(text []byte) (thousandths int, ok bool) {
	if len(text) == 0 || len(text) > len("0.000") || text[0] != '0' && text[0] != '1' || len(text) > 1 && text[1] != '.' {
		return 0, false
	}
	thousandths = int(text[0]-'0') * 1000
	unit := 100
	for _, digit := range text[min(2, len(text)):] {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		thousandths += int(digit-'0') * unit
		unit /= 10
	}
	return thousandths, thousandths <= 1000
}

// CutOutsideQuotes cuts text at the first separator that does not stand in a quoted string.
func CutOutsideQuotes(text []byte, separator byte) (before, after []byte) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == separator && !quoted:
			return text[:i], text[i+1:]
		}
	}
	return text, nil
}
