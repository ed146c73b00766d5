package embedded

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"regexp"
	"strings"
)

// External tables are data of a request to which its SELECT refers as tables. libchdb has no means for
// them, so each is bound as a parameter, of any size, and becomes a table by the function format.

// formField is the field of a form that holds the statement; all others are tables.
const formField = "query"

// isForm reports whether the request's body is a form rather than a statement.
func isForm(req *http.Request) bool {
	return strings.HasPrefix(req.Header.Get("Content-Type"), "multipart/")
}

var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// readForm reads the statement and its external tables.
func (s *statement) readForm(req *http.Request) error {
	_, parameters, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("reading the type of the form: %w", err)
	}
	var tables []string
	form, query := multipart.NewReader(req.Body, parameters["boundary"]), req.URL.Query()
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return s.define(tables)
		}
		if err != nil {
			return fmt.Errorf("reading the form: %w", err)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return fmt.Errorf("reading the form: %w", err)
		}
		name := part.FormName()
		if name == formField {
			s.sql += string(content)
			continue
		}
		if !tableName.MatchString(name) {
			return syntaxError("the name of an external table must consist of letters, digits and underscores")
		}
		parameter := "external_" + name
		s.params[parameter] = escapeParameter.Replace(string(content))
		tables = append(tables, fmt.Sprintf("%s AS (SELECT * FROM format(%s, %s, {%s:String}))",
			name, quoteString(query.Get(name+"_format")), quoteString(query.Get(name+"_structure")), parameter))
		delete(s.settings, name+"_format")
		delete(s.settings, name+"_structure")
	}
}

// escapeParameter puts a text into the form in which the engine takes parameters.
var escapeParameter = strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`, "\x00", `\0`)

var selectHead = regexp.MustCompile(`(?is)^\s*SELECT\b`)

// define puts the definitions of tables before the statement.
func (s *statement) define(tables []string) error {
	if len(tables) == 0 {
		return nil
	}
	if !selectHead.MatchString(s.sql) {
		return notImplemented("external tables in a statement that does not begin with SELECT")
	}
	s.sql = "WITH " + strings.Join(tables, ", ") + " " + s.sql
	return nil
}
