package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// examples are values of fields and parameters that say more than any of their type would.
var examples = map[string]any{
	"latitude": 40.7484, "longitude": -73.9857, "coordinates": []float64{-73.9857, 40.7484}, "speed": 8.3, "heading": 29, "battery": 0.83,
	"accuracy": 4, "altitude": 12, "temperature": 4.5, "radius_miles": 0.021, "point_count": 31, "total_count": 1,
	"_id": "6a5f0c2b9d1e4f7a8b3c6d90", "session_id": "6a5f0c2b9d1e4f7a8b3c6d90", "device_id": "6a5f0c2b1a2b3c4d5e6f7081",
	"device_mac_address": "AA:BB:CC:00:00:01", "off_chrt_reference_id": "load-4711", "org_id": "org_acme", "user_id": "user_ann",
	"created_by_user_id": "user_ann", "revoked_by_user_id": "user_ann", "name": "Dispatch board", "prefix": "ak_7fQ2x", "key": "ak_…",
	"start_timestamp": "2026-01-15T00:00:00Z", "end_timestamp": "2026-01-16T00:00:00Z", "expires_at_timestamp": "2027-01-15T00:00:00Z",
	"query": "load", "search": "load", "grace_seconds": 3600, "accepted": 2, "successful_updates": 1, "failed_updates": 0,
	"tracking_session_by_device_data_point_ids": []string{"6a5f0c2b9d1e4f7a8b3c6d90.1768469400000"}, "detail": "Give a latitude from -90 to 90.",
	"values": []string{"AA:BB:CC:00:00:01"}, "add_org_ids": []string{"org_partner"}, "shared_with_org_ids": []string{"org_partner"},
	"api_key_id": "6a5f0c2b9d1e4f7a8b3c6d91", "device_credential_id": "6a5f0c2b9d1e4f7a8b3c6d92", "csrf_token": "…", "token": "eyJ…",
	"off_chrt_shipper_org_data_id": "shipper-1", "comments": "left dock 4", "type": "tracker",
}

// mostDepth bounds how deep an example goes.
const mostDepth = 8

// example returns a value that a schema describes. Of an object it has the fields that are always
// there, and those of which examples knows a value.
func example(s Schema, field string, depth int) any {
	if name := refName(s); name != "" {
		s = schemas()[name]
	}
	if value, ok := s["const"]; ok {
		return value
	}
	switch words := s["enum"].(type) {
	case []string:
		return words[0]
	case []any:
		return words[0]
	}
	if options, ok := s["oneOf"].([]Schema); ok {
		return example(options[0], field, depth)
	}
	if value, ok := examples[field]; ok && s["type"] != "object" {
		return value
	}
	switch s["type"] {
	case "object":
		return exampleObject(s, depth)
	case "array":
		if items, ok := s["items"].(Schema); ok && depth < mostDepth {
			return []any{example(items, "", depth+1)}
		}
		return []any{}
	case "boolean":
		return false
	case "integer", "number":
		return max(1, leastOf(s))
	}
	if s["format"] == "date-time" {
		return "2026-01-15T09:30:00Z"
	}
	return "…"
}

func leastOf(s Schema) int {
	if least, ok := s["minimum"].(int); ok {
		return least
	}
	return 0
}

func exampleObject(s Schema, depth int) map[string]any {
	object := map[string]any{}
	required, _ := s["required"].([]string)
	fields, _ := s["properties"].(Schema)
	for name, field := range fields {
		_, known := examples[name]
		if schema, ok := field.(Schema); ok && (known || slices.Contains(required, name)) {
			object[name] = example(schema, name, depth+1)
		}
	}
	return object
}

// exampleJSON is an example on one or more lines.
func exampleJSON(s Schema, indent string) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(example(s, "", 0)); err != nil { // it is made of texts and numbers
		panic(fmt.Errorf("show an example: %w", err))
	}
	return strings.TrimSpace(text.String())
}

// exampleAnswer is an example of an answer, empty for those that are no JSON.
func exampleAnswer(a Answer) string {
	if a.ContentType != "application/json" && a.ContentType != "application/geo+json" || len(a.Schema) == 0 {
		return ""
	}
	return exampleJSON(a.Schema, "  ")
}

// curlLine is a request of an operation as a line for a shell, where $LASTSEEN is the address of the
// service, $KEY an API key and $LASTSEEN_TOKEN a user's token.
func curlLine(o Operation) string {
	line := []string{"curl -s"}
	switch {
	case slices.Contains(o.Callers, APIKey):
		line = append(line, `-H "Authorization: Bearer $KEY"`)
	case !slices.Contains(o.Callers, Nobody):
		line = append(line, `-H "Authorization: Bearer $LASTSEEN_TOKEN"`)
	}
	query := url.Values{}
	for _, p := range o.Parameters {
		if p.Required && !p.Header {
			query.Set(p.Name, fmt.Sprint(example(p.Schema, p.Name, 0)))
		}
	}
	if o.Body != nil {
		line = append(line, `-H "Content-Type: application/json"`, "-d '"+exampleJSON(o.Body.Schema, "")+"'")
	} else if o.Method != "GET" {
		line = append(line, "-X "+o.Method)
	}
	target := "$LASTSEEN" + o.Path
	if len(query) > 0 {
		target += "?" + strings.ReplaceAll(query.Encode(), "%3A", ":")
	}
	return strings.Join(append(line, `"`+target+`"`), " \\\n  ")
}

// canBeTried reports whether the page offers to send an operation: it reads, and changes nothing, which
// some GETs of devices do.
func canBeTried(o Operation) bool {
	leads := strings.HasPrefix(o.Path, "/auth/log") || strings.HasPrefix(o.Path, "/auth/callback") || strings.HasPrefix(o.Path, PagePath)
	return o.Method == "GET" && !leads && !strings.Contains(o.Path, "/ingest/")
}
