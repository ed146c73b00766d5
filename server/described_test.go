package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"lastseen/server/console"
	"lastseen/server/openapi"
)

// The tests' client holds every answer of the server against the description of the API.

// contract is /openapi.json as a test reads it.
type contract struct {
	document map[string]any
	compiler *jsonschema.Compiler
	mu       sync.Mutex // the compiler's
	schemas  map[string]*jsonschema.Schema
}

const contractURL = "https://lastseen.example/openapi.json"

var described = sync.OnceValue(func() *contract {
	var c contract
	text := openapi.Document(operations(routes()))
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		panic(err)
	}
	closeObjects(parsed)
	c.document, c.compiler, c.schemas = parsed.(map[string]any), jsonschema.NewCompiler(), map[string]*jsonschema.Schema{}
	c.compiler.AssertFormat()
	c.compiler.DefaultDraft(jsonschema.Draft2020)
	if err := c.compiler.AddResource(contractURL, parsed); err != nil {
		panic(err)
	}
	return &c
})

// closeObjects makes every object with fields refuse others, so that no answer holds what is not
// described. Clients are not promised that.
func closeObjects(node any) {
	switch n := node.(type) {
	case map[string]any:
		if _, hasFields := n["properties"]; hasFields && n["type"] == "object" {
			n["additionalProperties"] = false
		}
		for _, child := range n {
			closeObjects(child)
		}
	case []any:
		for _, child := range n {
			closeObjects(child)
		}
	}
}

// at follows member names from the document's root, and references on the way; it returns nil, and a
// pointer to nothing, when there is no such thing.
func (c *contract) at(names ...string) (node map[string]any, pointer string) {
	node, pointer = c.document, "#"
	for _, name := range names {
		next, ok := node[name].(map[string]any)
		if !ok {
			return nil, ""
		}
		node, pointer = next, pointer+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		if ref, isRef := node["$ref"].(string); isRef {
			target, targetPointer := c.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			node, pointer = target, targetPointer
		}
	}
	return node, pointer
}

func (c *contract) schema(pointer string) (*jsonschema.Schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.schemas[pointer]; s != nil {
		return s, nil
	}
	s, err := c.compiler.Compile(contractURL + pointer)
	if err == nil {
		c.schemas[pointer] = s
	}
	return s, err
}

// check returns what is wrong with an answer.
func (c *contract) check(method, path string, r reply) error {
	if strings.HasPrefix(path, console.Path) || path == console.LinkPath || path == console.TrackPath {
		return nil
	}
	if strings.HasPrefix(path, pathApps) && !strings.HasSuffix(path, "/v1") {
		path = path[:strings.LastIndexByte(path, '/')] // the credential
	}
	operation := strings.ToLower(method)
	if operation == "head" {
		operation = "get"
	}
	response, pointer := c.at("paths", path, operation, "responses", fmt.Sprint(r.StatusCode))
	if known, _ := c.at("paths", path, operation); known == nil { // a path or a method that is not there
		response, pointer = c.at("components", "responses", nameOf(r.StatusCode))
	}
	if response == nil {
		return fmt.Errorf("the status is not described")
	}
	declared, _ := response["headers"].(map[string]any)
	for name := range declared {
		if h, _ := c.at("components", "headers", name); h["required"] == true && r.Header.Get(name) == "" {
			return fmt.Errorf("the header %s is missing", name)
		}
	}
	content, _ := response["content"].(map[string]any)
	if content == nil {
		if len(r.body) > 0 {
			return fmt.Errorf("there is a body")
		}
		return nil
	}
	contentType := r.Header.Get("Content-Type")
	if content[contentType] == nil {
		return fmt.Errorf("the content type %q is not described", contentType)
	}
	if method == "HEAD" || !strings.Contains(contentType, "json") || r.Header.Get("Content-Encoding") != "" {
		return nil
	}
	schema, err := c.schema(pointer + "/content/" + strings.ReplaceAll(contentType, "/", "~1") + "/schema")
	if err != nil {
		return err
	}
	documents := [][]byte{r.body}
	if contentType == typeNDJSON {
		documents = bytes.SplitAfter(r.body, []byte("\n"))
		documents = documents[:len(documents)-1] // what is after the last line's end
		if n := len(documents); n > 2*heldLines {
			documents = slices.Concat(documents[:heldLines], documents[n-heldLines:])
		}
	} else if len(r.body) > 4*heldBytes {
		documents[0] = shortened(r.body)
	}
	for _, document := range documents {
		body, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
		if err != nil {
			return fmt.Errorf("the body is not JSON: %w", err)
		}
		if err := schema.Validate(body); err != nil {
			return err
		}
	}
	return nil
}

// Of a long answer only the beginning and the end are held against the schema, which takes a thousand times as long as
// to make it.
const (
	heldLines = 200       // of NDJSON, at either end
	heldBytes = 100 << 10 // of JSON, at most, at either end
)

// shortened leaves points in the middle of a long history out.
func shortened(body []byte) []byte {
	between := []byte(`,{"_id":`)
	head, tail := body[:heldBytes], body[len(body)-heldBytes:]
	from, to := bytes.LastIndex(head, between), bytes.Index(tail, between)
	if from < 0 || to < 0 {
		return body
	}
	return slices.Concat(head[:from], tail[to:])
}

// nameOf is the name of the response that describes a refusal with a status.
func nameOf(status int) string {
	if status == http.StatusUnprocessableEntity {
		return "InvalidInput"
	}
	return strings.ReplaceAll(http.StatusText(status), " ", "")
}

// held holds an answer against the description.
func (s *service) held(request *http.Request, r reply) {
	s.Helper()
	if s.undescribed || request.URL.Host != s.address {
		return
	}
	if err := described().check(request.Method, request.URL.Path, r); err != nil {
		s.Errorf("%s %s: %s is not as /openapi.json says: %v\n%s", request.Method, request.URL.Path, r.Status, err, r.body)
	}
}

func TestEveryRouteIsDescribed(t *testing.T) {
	t.Parallel()
	all := descriptions()
	for _, o := range operations(routes()) {
		if o.Tag == "" || len(o.Answers) == 0 || o.Summary == "" {
			t.Errorf("%s %s has no description", o.Method, o.Path)
		}
		delete(all, o.Path)
	}
	for path := range all {
		t.Errorf("%s is described and not in the table", path)
	}
}

func TestEveryReferenceOfTheDocumentLeadsSomewhere(t *testing.T) {
	t.Parallel()
	c := described()
	text, err := json.Marshal(c.document)
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`"\$ref":"#/([^"]+)"`).FindAllSubmatch(text, -1) {
		if node, _ := c.at(strings.Split(string(match[1]), "/")...); node == nil {
			t.Errorf("%s leads nowhere", match[1])
		}
	}
	names, _ := c.at("components", "schemas")
	for name := range names {
		if _, err := c.schema("#/components/schemas/" + name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	ids := map[string]bool{}
	for path, methods := range c.document["paths"].(map[string]any) {
		for method, operation := range methods.(map[string]any) {
			id := operation.(map[string]any)["operationId"].(string)
			if ids[id] {
				t.Errorf("%s %s has the id of another: %s", method, path, id)
			}
			ids[id] = true
		}
	}
}

func TestTheDescriptionTellsARightAnswerFromAWrongOne(t *testing.T) {
	t.Parallel()
	answer := func(status int, contentType, body string) reply {
		return reply{&http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}, "X-Request-Id": {"1"}, "Etag": {`"x"`}}}, []byte(body)}
	}
	for _, test := range []struct {
		name  string
		reply reply
		right bool
	}{
		{"null", answer(200, typeJSON, "null"), true},
		{"a number", answer(200, typeJSON, "1"), false},
		{"a point without a place", answer(200, typeJSON, `{"_id":"0123456789abcdef01234567"}`), false},
		{"another type", answer(200, "text/plain", "null"), false},
		{"another status", answer(201, typeJSON, "null"), false},
		{"no JSON", answer(200, typeJSON, "nul"), false},
		{"304", answer(304, "", ""), true},
		{"304 with a body", answer(304, "", "null"), false},
		{"a problem without its fields", answer(404, "application/problem+json", "{}"), false},
		{"503 that does not say when", answer(503, "application/problem+json", `{"type":"about:blank","title":"x","status":503,"detail":"x","message":"x","request_id":"1"}`), false},
	} {
		if err := described().check("GET", pathLastSeen, test.reply); (err == nil) != test.right {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestTheDescriptionIsServed(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := s.get(pathOpenAPI, "", 200)
	if !bytes.Equal(r.body, openapi.Document(operations(routes()))) {
		t.Error("it is not what the table says")
	}
	html := s.get(openapi.PagePath, "", 200)
	for _, page := range []reply{r, html, s.get(openapi.StylePath, "", 200)} {
		if page.Header.Get("Content-Security-Policy") != console.ContentSecurityPolicy {
			t.Errorf("the policy is %q", page.Header.Get("Content-Security-Policy"))
		}
	}
	if strings.Count(string(html.body), "<script") != 1 {
		t.Error("the page has other scripts than its own")
	}
	for _, forbidden := range []string{"<script>", "<style", " style=", "http://", "https://", "//"} {
		if text := strings.ReplaceAll(string(html.body), "//github", ""); strings.Contains(text, forbidden) {
			t.Errorf("the page holds %s", forbidden)
		}
	}
	for _, o := range operations(routes()) {
		if !strings.Contains(string(html.body), "<code>"+o.Path+"</code>") {
			t.Errorf("the page does not show %s", o.Path)
		}
	}
	for _, match := range regexp.MustCompile(`href="#([^"]+)"`).FindAllSubmatch(html.body, -1) {
		if !bytes.Contains(html.body, append(append([]byte(`id="`), match[1]...), '"')) {
			t.Errorf("the page has no #%s", match[1])
		}
	}
	s.get(openapi.PagePath, "", 304, header{"If-None-Match", html.Header.Get("ETag")})
}
