package server

import (
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"

	"lastseen/schema"
	"lastseen/server/console"
	"lastseen/server/input"
	"lastseen/server/openapi"
)

// description is what the table of routes does not say of a route: its parameters, body and answers.
type description struct {
	tag        string
	parameters []openapi.Parameter
	body       *openapi.Body
	answers    []openapi.Answer
	refusals   []int // beside those that follow from the table
}

const (
	tagReading = "Reading"
	tagPublic  = "Public sessions"
	tagWriting = "Devices, sessions and points"
	tagKeys    = "API keys"
	tagDevices = "Device credentials"
	tagPeople  = "Signing in"
	tagService = "The service itself"
	typeJSON   = "application/json"
	typeNDJSON = "application/x-ndjson"
)

// operations describes the routes of a table, but for the console's files.
func operations(table []route) (described []openapi.Operation) {
	descriptions := descriptions()
	for i := range table {
		r := &table[i]
		if isFile(r) || forApps(r) {
			continue
		}
		d := descriptions[r.path]
		o := openapi.Operation{
			Method: r.method, Path: r.path, Summary: r.summary, Tag: d.tag, Callers: callersOf(r),
			Parameters: d.parameters, Body: d.body, Answers: d.answers, Refusals: refusalsOf(r, &d),
		}
		if !r.Public {
			o.Role = r.Role.String()
		}
		described = append(described, o)
	}
	return described
}

// isFile reports whether a route is a file of the console.
func isFile(r *route) bool {
	return strings.HasPrefix(r.path, console.Path) || r.path == console.LinkPath || r.path == console.TrackPath
}

func callersOf(r *route) []openapi.Caller {
	if r.Public {
		return []openapi.Caller{openapi.Nobody}
	}
	callers := []openapi.Caller{openapi.UserToken, openapi.Browser}
	if r.APIKeys {
		callers = append(callers, openapi.APIKey)
	}
	if r.DeviceCredentials {
		callers = append(callers, openapi.DeviceCredential)
	}
	return callers
}

// refusalsOf returns the statuses with which a route may refuse a request. Every one may meet a
// credential that is not good or not accepted, a limit, and a fault.
func refusalsOf(r *route, d *description) []int {
	statuses := []int{401, 403, 414, 429, 431, 500, 503}
	if r.body != noBody {
		statuses = append(statuses, 400, 408, 413, 415)
	}
	if r.body != noBody || len(d.parameters) > 0 {
		statuses = append(statuses, 422)
	}
	if r.queue == streamQueue {
		statuses = append(statuses, 505)
	}
	statuses = append(statuses, d.refusals...)
	slices.Sort(statuses)
	return slices.Compact(statuses)
}

// descriptions returns the description of every route, by path.
func descriptions() map[string]description {
	all := map[string]description{}
	for _, part := range []map[string]description{
		readingDescriptions(), writingDescriptions(), appDescriptions(), keyDescriptions(apiKeys, pathAPIKeys, tagKeys),
		keyDescriptions(deviceCredentials, pathDeviceCredentials, tagDevices), signInDescriptions(), serviceDescriptions(),
	} {
		for path, d := range part {
			all[path] = d
		}
	}
	return all
}

// answered is a 200 with JSON.
func answered(meaning string, schema openapi.Schema) []openapi.Answer {
	return []openapi.Answer{{Status: http.StatusOK, Description: meaning, ContentType: typeJSON, Schema: schema}}
}

// wanted is a parameter that must be there.
func wanted(name, meaning string, schema openapi.Schema) openapi.Parameter {
	return openapi.Parameter{Name: name, Description: meaning, Required: true, Schema: schema}
}

// optional is a parameter that may be left out.
func optional(name, meaning string, schema openapi.Schema) openapi.Parameter {
	return openapi.Parameter{Name: name, Description: meaning, Schema: schema}
}

// whole is a whole number within a range.
func whole(within input.Range) openapi.Schema { return openapi.Integer(within.Least, within.Most) }

func jsonBodyOf(name string) *openapi.Body {
	return &openapi.Body{ContentTypes: []string{typeJSON}, Schema: openapi.Ref(name)}
}

func readingDescriptions() map[string]description {
	session := wanted("session_id", "", openapi.ID())
	newest := []openapi.Answer{
		{Status: http.StatusOK, Description: "The point, or null.", ContentType: typeJSON, Schema: openapi.Ref("LastSeen"), Headers: []string{"ETag"}},
		{Status: http.StatusNotModified, Description: "Nothing has changed since the state that If-None-Match names.", Headers: []string{"ETag"}},
	}
	polled := []openapi.Parameter{session,
		{Name: "If-None-Match", Header: true, Schema: openapi.Text(1, 0), Description: "Entity tags of what the caller has."},
		{Name: "Prefer", Header: true, Schema: openapi.Text(1, 0), Description: "wait=N: with If-None-Match, wait up to N seconds, at most 300, for something new."},
	}
	ranged, history := historyParameters(), historyAnswers("The points in ascending time and, in JSON, where the session stayed.")
	missing := []int{404}
	scope := optional("org_scope", "Whose sessions.", openapi.Choice("owned_and_shared", "owned", "shared"))
	return map[string]description{
		pathLastSeen: {tag: tagReading, parameters: polled, answers: newest, refusals: missing},
		pathLastSeenBatch: {tag: tagReading, body: jsonBodyOf("LastSeenBatch"), parameters: polled[1:2], answers: []openapi.Answer{
			{Status: http.StatusOK, Description: "The points in the order asked.", ContentType: typeJSON, Schema: openapi.Ref("NewestPoints"), Headers: []string{"ETag"}},
			newest[1],
		}},
		pathLastSeenChanges: {tag: tagReading, parameters: changesParameters(scope), answers: []openapi.Answer{
			{Status: http.StatusOK, Description: "The newest points of the sessions that have changed, and what is gone.", ContentType: typeJSON, Schema: openapi.Ref("Changes")},
			{Status: http.StatusOK, Description: "The same as server-sent events, for as long as the client likes.", ContentType: typeEvents, Schema: openapi.Text(0, 0)},
		}, refusals: []int{505}},
		pathDataPoints: {tag: tagReading, parameters: ranged, answers: history, refusals: missing},
		pathFeed: {tag: tagReading, parameters: feedParameters(),
			answers: historyAnswers("The points in the order of their arrival. The header Next-Cursor, and in JSON next_cursor, always says how to go on.")},
		pathLastSeenPublic: {tag: tagPublic, parameters: polled, answers: newest, refusals: missing},
		pathPointsPublic:   {tag: tagPublic, parameters: ranged, answers: history, refusals: missing},
		pathSessionsGet: {tag: tagReading, parameters: []openapi.Parameter{session},
			answers: answered("The session.", openapi.Ref("Session")), refusals: missing},
		pathSessionsList: {tag: tagReading, parameters: append(listParameters(), scope),
			answers: answered("A page of sessions.", openapi.Ref("SessionPage"))},
		pathTypeahead: {tag: tagReading, parameters: []openapi.Parameter{
			wanted("query", "Plain text that the values must contain.", openapi.Text(1, 0)), scope,
			optional("limit", "Values of each field; 10 when left out.", whole(suggestionsRange)),
		}, answers: answered("Distinct values, those that begin with the text first.", openapi.Ref("Suggestions"))},
	}
}

func changesParameters(scope openapi.Parameter) []openapi.Parameter {
	return []openapi.Parameter{
		optional("cursor", "The next_cursor of the answer before, to get what has changed since; without it the newest point of every session comes first.", openapi.Text(1, 200)),
		optional("limit", "The most sessions of this answer; 1000 when left out. more says whether there are others.", whole(changesLimitRange)),
		scope,
		{Name: "Prefer", Header: true, Schema: openapi.Text(1, 0), Description: "wait=N: hold an answer that is empty for up to N seconds, at most 300, until something changes."},
		{Name: "Last-Event-ID", Header: true, Schema: openapi.Text(1, 200), Description: "With Accept: text/event-stream, the id of the last event, to go on after it; it wins over cursor."},
	}
}

func listParameters() []openapi.Parameter {
	parameters := []openapi.Parameter{
		optional("sort_by", "", openapi.Choice("created_at_timestamp", "last_seen_at_timestamp", "termination_scheduled_for_timestamp", "terminated_at_timestamp")),
		optional("sort_order", "", openapi.Choice("desc", "asc")),
		optional("page", "1 when left out; not with cursor.", whole(pageRange)),
		optional("page_size", "50 when left out.", whole(pageSizeRange)),
		optional("cursor", "The next_cursor of the page before, with the same filters and order; from the first page on, every session comes once, however the order changes meanwhile.", openapi.Text(1, 0)),
		optional("search", "Text in the reference, the device's address or the comments, whatever its case and composition.", openapi.Text(0, 0)),
	}
	for _, name := range []string{"terminated", "public", "has_last_seen"} {
		parameters = append(parameters, optional("filter_"+name, "", openapi.Boolean()))
	}
	for _, name := range []string{"device_id", "off_chrt_reference_id", "flight_number", "flight_loaded_status"} {
		parameters = append(parameters, optional("filter_"+name, "Exactly this.", openapi.Text(0, 0)))
	}
	for _, name := range []string{"created_at", "last_seen_at", "termination_scheduled_for", "terminated_at"} {
		parameters = append(parameters,
			optional("filter_"+name+"_timestamp_gte", "Not before.", openapi.Timestamp()),
			optional("filter_"+name+"_timestamp_lte", "Not after.", openapi.Timestamp()))
	}
	return parameters
}

func writingDescriptions() map[string]description {
	session := []openapi.Parameter{wanted("session_id", "", openapi.ID())}
	done := answered("It is done.", openapi.True())
	return map[string]description{
		pathRegister: {tag: tagWriting, body: jsonBodyOf("NewDevice"),
			answers: answered("The device's id.", openapi.ID()), refusals: []int{409}},
		pathCreateSession: {tag: tagWriting, body: jsonBodyOf("NewSession"), parameters: []openapi.Parameter{wanted("device_id", "", openapi.ID())},
			answers: answered("The session's id.", openapi.ID()), refusals: []int{404, 409}},
		pathUpdateSession: {tag: tagWriting, body: jsonBodyOf("SessionUpdate"), parameters: session, answers: done, refusals: []int{404, 409}},
		pathTerminate:     {tag: tagWriting, parameters: session, answers: done, refusals: []int{404, 409}},
		pathSharedOrgs:    {tag: tagWriting, body: jsonBodyOf("SharedOrgsUpdate"), answers: done, refusals: []int{404}},
		pathOutlier: {tag: tagWriting, body: jsonBodyOf("Marks"),
			answers: answered("How many points are now so, and how many could not be.", openapi.Ref("MarkResult"))},
		pathIngest: {tag: tagWriting, body: &openapi.Body{ContentTypes: []string{typeJSON, typeNDJSON}, Schema: openapi.Ref("Points")},
			answers: answered("The accepted points are stored, and last_seen shows them.", openapi.Ref("IngestResult"))},
	}
}

func keyDescriptions(kind keyKind, prefix, tag string) map[string]description {
	which := []openapi.Parameter{wanted(kind.idParameter, "", openapi.ID())}
	made := []openapi.Answer{{Status: http.StatusCreated, Description: "The record and, this once, the key itself.", ContentType: typeJSON, Schema: openapi.Ref("KeyMade")}}
	listed := answered("A page of the records.", openapi.Ref("Keys"))
	listed[0].Headers = []string{headerNextCursor, headerTotalCount}
	described := map[string]description{
		prefix + "/create/v1": {tag: tag, body: jsonBodyOf("NewKey"), answers: made, refusals: []int{409}, parameters: []openapi.Parameter{
			{Name: headerIdempotencyKey, Header: true, Schema: openapi.Text(1, 255), Description: "A name of this request, such as a random number: sent again within a day it makes no second key, and is 409 with the first one's _id."},
		}},
		prefix + "/rotate/v1": {tag: tag, body: jsonBodyOf("Rotation"), parameters: which, answers: made, refusals: []int{404, 409}},
		prefix + "/revoke/v1": {tag: tag, parameters: which, answers: answered("It is refused everywhere from now on.", openapi.Ref("Key")), refusals: []int{404}},
		prefix + "/list/v1":   {tag: tag, parameters: keyListParameters(), answers: listed},
		prefix + "/events/v1": {tag: tag, parameters: []openapi.Parameter{
			optional("page", "1 when left out.", whole(pageRange)), optional("page_size", "50 when left out.", whole(pageSizeRange)),
		}, answers: answered("A page of what was done, newest first.", openapi.Ref("KeyEvents"))},
	}
	if kind.kind == schema.KindAPIKey {
		described[prefix+"/update/v1"] = description{
			tag: tag, body: jsonBodyOf("KeyUpdate"), parameters: which, answers: answered("The record as it is now, everywhere.", openapi.Ref("Key")), refusals: []int{404, 409},
		}
		described[prefix+"/usage/v1"] = description{tag: tag, answers: answered("By day, key, route and outcome, up to a minute ago.", openapi.Ref("KeyUsage")), refusals: []int{404}, parameters: []openapi.Parameter{
			optional(kind.idParameter, "Up to 100 ids, separated by commas; all keys when left out.", openapi.Text(1, 0)),
			optional("start_date", "The first day, in UTC; 29 days before the last when left out. 400 days are kept.", openapi.Date()),
			optional("end_date", "The last day; today when left out.", openapi.Date()),
		}}
	}
	if kind.kind == schema.KindDeviceCredential {
		described[prefix+"/arrivals/v1"] = description{tag: tag, parameters: which, answers: answered("Since the service began, as far as it remembers; zeros for what it does not know.", openapi.Ref("Arrivals"))}
	}
	return described
}

func keyListParameters() []openapi.Parameter {
	return []openapi.Parameter{
		optional("search", "Text in the name, the prefix, the maker, the device or the id, whatever its case.", openapi.Text(0, 200)),
		optional("status", "ended: expired or revoked; expiring: active, and over within 7 days; unused: active, and never used.", openapi.Choice(keyStatuses...)),
		optional("sort_by", "Newest first, by name, soonest expiry first, or used last first.", openapi.Choice(keySortings...)),
		optional("limit", "Records of a page; 1000 when left out.", whole(keyListRange)),
		optional("cursor", "Next-Cursor of the page before, with the same search, status and sort_by.", openapi.Text(1, 0)),
	}
}

func signInDescriptions() map[string]description {
	onward := []openapi.Answer{{Status: http.StatusSeeOther, Description: "The browser goes on.", Headers: []string{fasthttp.HeaderLocation}}}
	return map[string]description{
		pathSession: {tag: tagPeople, answers: answered("Who is calling.", openapi.Ref("SignedIn"))},
		pathOptions: {tag: tagPeople, answers: answered("How to sign in.", openapi.Ref("SignInOptions"))},
		pathSignOut: {tag: tagPeople, answers: answered("The session is over.", openapi.True())},
		pathLink:    {tag: tagPeople, body: jsonBodyOf("SignInLink"), answers: answered("The cookie is set.", openapi.Ref("SignedIn"))},
		pathLogin: {tag: tagPeople, answers: onward, parameters: []openapi.Parameter{
			optional("return_to", "The page of the console to come back to.", openapi.Text(0, 0)),
		}},
		pathCallback: {tag: tagPeople, answers: onward, parameters: []openapi.Parameter{
			optional("code", "", openapi.Text(0, 0)), optional("state", "", openapi.Text(0, 0)),
			optional("iss", "", openapi.Text(0, 0)), optional("error", "", openapi.Text(0, 0)),
		}},
	}
}

func serviceDescriptions() map[string]description {
	page := func(meaning, contentType string) []openapi.Answer {
		return []openapi.Answer{
			{Status: http.StatusOK, Description: meaning, ContentType: contentType, Schema: openapi.Schema{}, Headers: []string{"ETag"}},
			{Status: http.StatusNotModified, Description: "Nothing has changed.", Headers: []string{"ETag"}},
		}
	}
	index := append(answered("Where to look.", openapi.Ref("Index")),
		openapi.Answer{Status: http.StatusSeeOther, Description: "A browser is led to the console.", Headers: []string{fasthttp.HeaderLocation}})
	return map[string]description{
		"/healthz":        {tag: tagService, answers: answered("The process lives.", openapi.Ref("Health"))},
		"/readyz":         {tag: tagService, answers: answered("The service can serve.", openapi.Ref("Health"))},
		"/":               {tag: tagService, answers: index, refusals: []int{404}},
		pathOpenAPI:       {tag: tagService, answers: page("This description.", typeJSON)},
		openapi.PagePath:  {tag: tagService, answers: page("The page.", "text/html; charset=utf-8")},
		openapi.StylePath: {tag: tagService, answers: page("The page's style.", "text/css; charset=utf-8")},
	}
}

const pathOpenAPI = "/openapi.json"

// describedRoutes returns a table with the routes that describe it.
func describedRoutes(table []route) []route {
	// They take longer to make than all else that a start does when everything is loaded, and few ask for them.
	var described func() []openapi.Operation
	document := sync.OnceValue(func() console.File {
		return console.NewFile(pathOpenAPI, typeJSON, openapi.Document(described()))
	})
	html := sync.OnceValue(func() console.File {
		return console.NewFile(openapi.PagePath, "text/html; charset=utf-8", openapi.Page(described()))
	})
	files := []func() console.File{document, html}
	style := console.NewFile(openapi.StylePath, "text/css; charset=utf-8", openapi.Style())
	for i, file := range []struct{ path, summary string }{
		{pathOpenAPI, "The description of the API, OpenAPI 3.1"}, {openapi.PagePath, "The description of the API, as a page"},
	} {
		handle := func(c *call) error { return page(files[i]())(c) }
		table = append(table, quiet(public(file.path, file.summary, noQueue, refusalTimeout, handle)))
	}
	table = append(table, quiet(public(openapi.StylePath, "The style of the page", noQueue, refusalTimeout, page(style))))
	described = sync.OnceValue(func() []openapi.Operation { return operations(table) })
	return table
}

// Description is the OpenAPI document of the routes, as the service has it at /openapi.json.
func Description() []byte { return openapi.Document(operations(routes())) }
