package openapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
)

// Where the page and its style are served.
const (
	PagePath  = "/docs"
	StylePath = "/docs/style.css"
)

//go:embed page.html
var pageText string

//go:embed style.css
var style []byte

// Style returns the page's style sheet, which is shared: nobody may change its bytes.
func Style() []byte { return style }

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"shown": shown, "meaning": meaning, "title": http.StatusText, "name": refName, "callers": callerNames, "join": strings.Join,
	"curl": curlLine, "example": exampleAnswer, "tried": canBeTried, "needsCredential": needsCredential,
}).Parse(pageText))

// tagGroup is the operations of one tag, in their order.
type tagGroup struct {
	Tag        string
	Anchor     string
	Operations []view
}

// view is an operation with the name of its place on the page.
type view struct {
	Operation
	ID string
}

// namedSchema is a schema of the document as the page shows it.
type namedSchema struct{ Name, Text string }

// Page returns the page that describes operations. It can be read without scripts; docs.js of the
// console folds its navigation, searches, and tries what reads.
func Page(operations []Operation) []byte {
	var groups []*tagGroup
	for _, o := range operations {
		i := slices.IndexFunc(groups, func(g *tagGroup) bool { return g.Tag == o.Tag })
		if i < 0 {
			i = len(groups)
			groups = append(groups, &tagGroup{Tag: o.Tag, Anchor: strings.ToLower(strings.NewReplacer(" ", "-", ",", "").Replace(o.Tag))})
		}
		groups[i].Operations = append(groups[i].Operations, view{o, o.id()})
	}
	var named []namedSchema
	for name, schema := range schemas() {
		named = append(named, namedSchema{name, pretty(schema)})
	}
	slices.SortFunc(named, func(a, b namedSchema) int { return strings.Compare(a.Name, b.Name) })
	var page bytes.Buffer
	if err := pageTemplate.Execute(&page, map[string]any{"Groups": groups, "Schemas": named, "Style": StylePath}); err != nil {
		panic(fmt.Errorf("make the page of the API: %w", err)) // the template is a part of the program
	}
	return page.Bytes()
}

// shown is a schema in a few words.
func shown(s Schema) string {
	if name := refName(s); name != "" {
		return name
	}
	if words, ok := s["enum"].([]string); ok {
		return strings.Join(words, " | ")
	}
	if s["type"] == "array" {
		return "list of " + shown(s["items"].(Schema))
	}
	if value, ok := s["const"]; ok {
		return fmt.Sprint(value)
	}
	kind, _ := s["type"].(string)
	if format, ok := s["format"].(string); ok {
		return format
	}
	if least, ok := s["minimum"].(int); ok {
		if most, ok := s["maximum"].(int); ok {
			return fmt.Sprintf("%s, %d to %d", kind, least, most)
		}
	}
	if s["pattern"] == "^[0-9a-f]{24}$" {
		return "id"
	}
	return kind
}

// refName returns the name of the schema that another refers to.
func refName(s Schema) string {
	ref, _ := s["$ref"].(string)
	return strings.TrimPrefix(ref, "#/components/schemas/")
}

// meaning is what a refusal's status means.
func meaning(status int) string {
	for _, r := range refusals {
		if r.status == status {
			return r.meaning
		}
	}
	return ""
}

func callerNames(callers []Caller) string {
	names := map[Caller]string{
		Nobody: "everybody, without a credential", APIKey: "an API key", DeviceCredential: "a device credential",
		UserToken: "a user token", Browser: "a browser that is signed in",
	}
	words := make([]string, len(callers))
	for i, caller := range callers {
		words[i] = names[caller]
	}
	return strings.Join(words, ", ")
}

func needsCredential(o Operation) bool { return !slices.Contains(o.Callers, Nobody) }

func pretty(s Schema) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil { // it is made of texts and numbers
		panic(fmt.Errorf("show a schema: %w", err))
	}
	return strings.TrimSpace(text.String())
}
