package server

import (
	"bytes"
	"strings"
)

// preference is one element of a request header such as Accept: what the client takes, in lower case
// and without parameters, and how much it likes it, in thousandths; 0 is not at all.
type preference struct {
	value  string
	weight int
}

// maxPreferences bounds what is looked at of a header; clients send a handful.
const maxPreferences = 64

// preferences reads the elements of a header's lines (RFC 9110, section 12.4.2). An element that
// cannot be understood is left out.
func preferences(lines [][]byte) []preference {
	var all []preference
	for _, line := range lines {
		for len(line) > 0 && len(all) < maxPreferences {
			var element []byte
			element, line = cutOutsideQuotes(line, ',')
			if p, ok := parsePreference(element); ok {
				all = append(all, p)
			}
		}
	}
	return all
}

func parsePreference(element []byte) (preference, bool) {
	value, parameters := cutOutsideQuotes(element, ';')
	p := preference{value: strings.ToLower(string(bytes.Trim(value, " \t"))), weight: 1000}
	for len(parameters) > 0 {
		var parameter []byte
		parameter, parameters = cutOutsideQuotes(parameters, ';')
		name, text, found := bytes.Cut(bytes.Trim(parameter, " \t"), []byte("="))
		if !found || !bytes.EqualFold(name, []byte("q")) {
			continue
		}
		var ok bool
		if p.weight, ok = parseWeight(text); !ok {
			return preference{}, false
		}
	}
	return p, p.value != "" && strings.Trim(p.value, tokenBytes) == ""
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

// cutOutsideQuotes cuts text at the first separator that does not stand in a quoted string.
func cutOutsideQuotes(text []byte, separator byte) (before, after []byte) {
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
