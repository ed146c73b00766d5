package trackfile

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// xmlNode is an element, whatever it is called.
type xmlNode struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Text    string     `xml:",chardata"`
	Nodes   []xmlNode  `xml:",any"`
}

// child returns the text of an element's first child of a name, or "".
func (n *xmlNode) child(name string) string {
	for i := range n.Nodes {
		if n.Nodes[i].XMLName.Local == name {
			return strings.TrimSpace(n.Nodes[i].Text)
		}
	}
	return ""
}

// eachXML calls each for the start of every element, until it returns false or an error. What each
// decodes is not called for again.
func (f *file) eachXML(in *bufio.Reader, each func(*xml.Decoder, *xml.StartElement, int) (more bool, err error)) error {
	decoder := xml.NewDecoder(in)
	decoder.CharsetReader = f.declared
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return wrapXML(decoder, err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		line, _ := decoder.InputPos()
		if more, err := each(decoder, &start, line); err != nil {
			return wrapXML(decoder, err)
		} else if !more {
			return nil
		}
	}
}

// wrapXML says on which line reading stopped. Nothing after it can be read.
func wrapXML(decoder *xml.Decoder, err error) error {
	line, _ := decoder.InputPos()
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		err = errors.New(syntax.Msg)
		if strings.Contains(syntax.Msg, "invalid UTF-8") {
			err = errNotUTF8
		}
	}
	return fmt.Errorf("line %d is not XML, and nothing after it was read: %w", line, err)
}
