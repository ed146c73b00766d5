// Package openapi describes the API: an OpenAPI 3.1 document from a list of operations, and a page of
// it for people.
package openapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"lastseen/keys/apikey"
)

// Schema is a JSON Schema of the 2020-12 draft.
type Schema map[string]any

// Operation is what one method of one path does.
type Operation struct {
	Method, Path string
	Summary      string
	Tag          string // the group that it is shown in
	Callers      []Caller
	// Role is the least role of a user who may call it, empty for any.
	Role       string
	Parameters []Parameter
	Body       *Body // nil for none
	Answers    []Answer
	Refusals   []int // the statuses of the problems that it may answer with
}

// Caller is a kind of caller, by the name of its security scheme; Nobody needs no credential.
type Caller string

// The kinds of callers.
const (
	Nobody           Caller = ""
	APIKey           Caller = "apiKey"
	DeviceCredential Caller = "deviceCredential"
	UserToken        Caller = "userToken"
	Browser          Caller = "browserSession"
)

// Parameter is a parameter of the query or a field of the header.
type Parameter struct {
	Name, Description string
	Required          bool
	Header            bool // it is a field of the header instead of a parameter of the query
	Schema            Schema
}

// Body is what a request carries.
type Body struct {
	ContentTypes []string
	Schema       Schema
	Optional     bool
}

// Answer is a success. Answers with the same status are the same one in several content types.
type Answer struct {
	Status      int
	Description string
	ContentType string // empty for an answer without a body
	Schema      Schema
	Headers     []string
}

// Document returns the OpenAPI document of the operations.
func Document(operations []Operation) []byte {
	paths := map[string]map[string]any{}
	for i := range operations {
		o := &operations[i]
		if paths[o.Path] == nil {
			paths[o.Path] = map[string]any{}
		}
		paths[o.Path][strings.ToLower(o.Method)] = o.describe()
	}
	document := map[string]any{
		"openapi":           "3.1.0",
		"jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
		"info": map[string]any{
			"title": "lastseen", "version": "1",
			"description": "Stores where things are and answers where they were last seen. Every GET also answers HEAD. Errors are RFC 9457 problem details whose detail says what to do.",
		},
		"paths": paths,
		"components": map[string]any{
			"schemas": schemas(), "responses": problemResponses(), "headers": headers, "securitySchemes": securitySchemes,
		},
	}
	text, err := json.MarshalIndent(document, "", " ")
	if err != nil { // the document is made of texts and numbers
		panic(fmt.Errorf("encode the description of the API: %w", err))
	}
	return append(text, '\n')
}

// describe returns an operation object.
func (o *Operation) describe() map[string]any {
	described := map[string]any{
		"operationId": o.id(), "summary": o.Summary, "tags": []string{o.Tag}, "responses": o.responses(), "security": o.security(),
	}
	if o.Role != "" {
		described["description"] = "For users, the least role is " + o.Role + "."
	}
	var parameters []any
	for _, p := range o.Parameters {
		parameter := map[string]any{"name": p.Name, "in": "query", "schema": p.Schema, "required": p.Required}
		if p.Header {
			parameter["in"] = "header"
		}
		if p.Description != "" {
			parameter["description"] = p.Description
		}
		parameters = append(parameters, parameter)
	}
	if parameters != nil {
		described["parameters"] = parameters
	}
	if o.Body != nil {
		content := map[string]any{}
		for _, contentType := range o.Body.ContentTypes {
			content[contentType] = map[string]any{"schema": o.Body.Schema}
		}
		described["requestBody"] = map[string]any{"required": !o.Body.Optional, "content": content}
	}
	return described
}

// id is the operation's name for programs: the words of its path.
func (o *Operation) id() string {
	words := strings.FieldsFunc(o.Path, func(r rune) bool { return r == '/' || r == '.' })
	return strings.ToLower(o.Method) + "_" + strings.Join(words, "_")
}

func (o *Operation) security() []any {
	security := []any{}
	for _, caller := range o.Callers {
		if caller == Nobody {
			security = append(security, map[string]any{})
			continue
		}
		security = append(security, map[string]any{string(caller): []string{}})
	}
	return security
}

func (o *Operation) responses() map[string]any {
	responses := map[string]any{}
	contents := map[int]map[string]any{}
	for _, a := range o.Answers {
		response := map[string]any{"description": a.Description}
		if a.ContentType != "" {
			if contents[a.Status] == nil {
				contents[a.Status] = map[string]any{}
			}
			contents[a.Status][a.ContentType] = map[string]any{"schema": a.Schema}
			response["content"] = contents[a.Status]
		}
		shown := map[string]any{"X-Request-Id": headerRef("X-Request-Id")}
		for _, name := range a.Headers {
			shown[name] = headerRef(name)
		}
		response["headers"] = shown
		responses[strconv.Itoa(a.Status)] = response
	}
	for _, status := range o.Refusals {
		responses[strconv.Itoa(status)] = map[string]any{"$ref": "#/components/responses/" + problemName(status)}
	}
	return responses
}

func headerRef(name string) map[string]any {
	return map[string]any{"$ref": "#/components/headers/" + name}
}

// refusals says of every status of a problem what it means and which headers it has.
var refusals = []struct {
	status  int
	meaning string
	headers []string
}{
	{400, "The request is not well-formed, or its body ended early.", nil},
	{401, "There is no good credential.", []string{"WWW-Authenticate"}},
	{403, "The caller may not do this.", nil},
	{404, "There is no such object, or the organisation cannot see it.", nil},
	{405, "The path does not have that method.", []string{"Allow"}},
	{408, "The request did not arrive in time.", nil},
	{409, "It contradicts what is there.", nil},
	{413, "The body is too large.", nil},
	{414, "The URL is too long.", nil},
	{415, "The body has another type or encoding.", nil},
	{422, "A parameter or a field is missing or wrong; errors names each.", nil},
	{429, "There were too many requests.", []string{"Retry-After"}},
	{431, "The headers are too large.", nil},
	{500, "A fault of the service.", nil},
	{503, "The service is busy or cannot reach its data store.", []string{"Retry-After"}},
	{505, "The answer is too long for HTTP/1.0.", nil},
}

func problemName(status int) string {
	if status == http.StatusUnprocessableEntity {
		return "InvalidInput"
	}
	return strings.ReplaceAll(http.StatusText(status), " ", "")
}

func problemResponses() map[string]any {
	responses := map[string]any{}
	for _, r := range refusals {
		shown := map[string]any{"X-Request-Id": headerRef("X-Request-Id")}
		for _, name := range r.headers {
			shown[name] = headerRef(name)
		}
		schema := "Problem"
		if r.status == http.StatusUnprocessableEntity {
			schema = "InvalidInput"
		}
		if r.status == http.StatusConflict {
			schema = "Conflict"
		}
		if r.status == http.StatusTooManyRequests {
			shown["RateLimit"], shown["RateLimit-Policy"] = headerRef("RateLimit"), headerRef("RateLimit-Policy")
		}
		responses[problemName(r.status)] = map[string]any{
			"description": r.meaning, "headers": shown,
			"content": map[string]any{"application/problem+json": map[string]any{"schema": Ref(schema)}},
		}
	}
	return responses
}

// header is a header object for a text.
func header(description string, required bool) map[string]any {
	return map[string]any{"description": description, "required": required, "schema": Schema{"type": "string"}}
}

var headers = map[string]any{
	"X-Request-Id":     header("What the service's log calls this request.", true),
	"WWW-Authenticate": header("What kind of credential is wanted.", true),
	"Retry-After":      header("In how many seconds to try again.", true),
	"Allow":            header("The methods that the path has.", true),
	"ETag":             header("Names this state of the answer; send it in If-None-Match to be told when nothing has changed.", true),
	"Location":         header("Where the browser goes on.", true),
	"Next-Cursor":      header("The cursor of the page that follows; absent on the last one.", false),
	"Total-Count":      header("How many there are on all pages; of the first page only.", false),
	"RateLimit":        header("The limit that was reached, of the IETF draft ratelimit-headers.", false),
	"RateLimit-Policy": header("The limit's quota and window, of the IETF draft ratelimit-headers.", false),
}

var securitySchemes = map[string]any{
	string(APIKey):           map[string]any{"type": "http", "scheme": "bearer", "bearerFormat": apikey.Prefix + "…", "description": "An API key: reads for one organisation."},
	string(DeviceCredential): map[string]any{"type": "http", "scheme": "bearer", "bearerFormat": apikey.DevicePrefix + "…", "description": "A device credential: writes points for one organisation."},
	string(UserToken):        map[string]any{"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A user token: acts as the user's role allows."},
	string(Browser): map[string]any{"type": "apiKey", "in": "cookie", "name": "lastseen_session",
		"description": "A browser's session, with TLS called __Host-lastseen_session; what changes something also needs its X-CSRF-Token."},
}

// Statuses returns the statuses of refusals that have a description, in ascending order.
func Statuses() []int {
	statuses := make([]int, len(refusals))
	for i, r := range refusals {
		statuses[i] = r.status
	}
	slices.Sort(statuses)
	return statuses
}
