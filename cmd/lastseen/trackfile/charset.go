package trackfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// errNotUTF8 is what reading a text ends with where it is not UTF-8 and does not say what it is.
var errNotUTF8 = errors.New("this is not UTF-8, and nothing from here on was read: say what it is with --encoding, such as --encoding windows-1252")

// CheckEncoding returns an error when a character set has a name that nobody knows.
func CheckEncoding(name string) error {
	_, err := encodingOf(name)
	return err
}

func encodingOf(name string) (encoding.Encoding, error) {
	for _, label := range []string{name, strings.ReplaceAll(name, "-", ""), strings.ReplaceAll(name, "_", "-")} {
		if found, _ := charset.Lookup(label); found != nil {
			return found, nil
		}
	}
	return nil, fmt.Errorf("the encoding %s is not known: such as utf-8, utf-16le, windows-1252, iso-8859-15 or shift_jis are", quote(name))
}

// decodeText makes a text UTF-8: by its byte order mark, else by the options, else by what UTF-16 cannot
// hide. What is left is taken for UTF-8, and the bytes that are not end the reading; of XML its own
// declaration says what it is, later.
func (f *file) decodeText(in *bufio.Reader) (*bufio.Reader, error) {
	start, _ := in.Peek(4)
	var from encoding.Encoding
	switch {
	case bytes.HasPrefix(start, []byte("\xef\xbb\xbf")):
		_, err := in.Discard(3)
		return validated(in), err
	case bytes.HasPrefix(start, []byte("\xff\xfe")), bytes.HasPrefix(start, []byte("\xfe\xff")):
		from = unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	case f.options.Encoding != "":
		var err error
		if from, err = encodingOf(f.options.Encoding); err != nil {
			return nil, err
		}
	case len(start) >= 2 && start[0] != 0 && start[1] == 0:
		from = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	case len(start) >= 2 && start[0] == 0 && start[1] != 0:
		from = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	case len(start) > 0 && start[0] == '<':
		return in, nil
	default:
		return validated(in), nil
	}
	f.decoded = true
	return bufio.NewReaderSize(transform.NewReader(in, from.NewDecoder()), readAhead), nil
}

// validated passes on what is UTF-8.
func validated(in *bufio.Reader) *bufio.Reader {
	return bufio.NewReaderSize(utf8Reader{transform.NewReader(in, encoding.UTF8Validator)}, readAhead)
}

// utf8Reader says what to do about bytes that are not UTF-8.
type utf8Reader struct{ in io.Reader }

// Read implements io.Reader.
func (r utf8Reader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if errors.Is(err, encoding.ErrInvalidUTF8) {
		err = errNotUTF8
	}
	return n, err
}

// declared is the reader of an XML text whose declaration names a character set.
func (f *file) declared(label string, in io.Reader) (io.Reader, error) {
	if f.decoded {
		return in, nil
	}
	from, err := encodingOf(label)
	if err != nil {
		return nil, err
	}
	return transform.NewReader(in, from.NewDecoder()), nil
}
