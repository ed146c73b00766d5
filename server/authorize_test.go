package server

import (
	"testing"

	"lastseen/keys"
	"lastseen/server/problem"
)

// The kinds of callers of the matrix below, in the order of its columns.
var callers = []struct {
	name      string
	principal *keys.Principal
}{
	{"nobody", nil},
	{"API key", &keys.Principal{Kind: keys.CallerAPIKey, OrgID: "org_a", Role: keys.RoleOperator}},
	{"device credential", &keys.Principal{Kind: keys.CallerDeviceCredential, OrgID: "org_a"}},
	{"driver", &keys.Principal{Kind: keys.CallerUser, OrgID: "org_a", UserID: "user_a", Role: keys.RoleDriver}},
	{"operator", &keys.Principal{Kind: keys.CallerUser, OrgID: "org_a", UserID: "user_a", Role: keys.RoleOperator}},
	{"administrator", &keys.Principal{Kind: keys.CallerUser, OrgID: "org_a", UserID: "user_a", Role: keys.RoleAdministrator}},
	{"owner", &keys.Principal{Kind: keys.CallerUser, OrgID: "org_a", UserID: "user_a", Role: keys.RoleOwner}},
}

// The matrix, written out by hand from docs/api.md: a row for every route, and for a caller of each
// kind 0 where the route is open to it, or the status of the refusal.
var matrix = map[string][7]int{
	// route                                                              nobody  ak  dk driver op adm own
	"GET /tracking/timeseries/session_by_device/last_seen/v1":                           {401, 0, 403, 403, 0, 0, 0},
	"POST /tracking/timeseries/session_by_device/last_seen_batch/v1":                    {401, 0, 403, 403, 0, 0, 0},
	"GET /tracking/timeseries/session_by_device/last_seen_changes/v1":                   {401, 0, 403, 403, 0, 0, 0},
	"GET /tracking/timeseries/session_by_device/data_points/v1":                         {401, 0, 403, 403, 0, 0, 0},
	"GET /tracking/timeseries/session_by_device/data_points_feed/v1":                    {401, 0, 403, 403, 0, 0, 0},
	"GET /tracking/sessions/list/v1":                                                    {401, 0, 403, 403, 0, 0, 0},
	"GET /tracking/sessions/get/v1":                                                     {401, 0, 403, 403, 0, 0, 0},
	"GET /tracking/sessions/typeahead/v1":                                               {401, 0, 403, 403, 0, 0, 0},
	"GET /tracking/timeseries/session_by_device/last_seen_public/v1":                    {0, 403, 0, 0, 0, 0, 0},
	"GET /tracking/timeseries/session_by_device/data_points_public/v1":                  {0, 403, 0, 0, 0, 0, 0},
	"POST /tracking/timeseries/session_by_device/ingest/v1":                             {401, 403, 0, 0, 0, 0, 0},
	"POST /tracking/timeseries/session_by_device/ingest/owntracks/v1":                   {401, 403, 0, 0, 0, 0, 0},
	"POST /tracking/timeseries/session_by_device/ingest/owntracks/v1/{credential}":      {401, 403, 0, 0, 0, 0, 0},
	"POST /tracking/timeseries/session_by_device/ingest/overland/v1":                    {401, 403, 0, 0, 0, 0, 0},
	"POST /tracking/timeseries/session_by_device/ingest/overland/v1/{credential}":       {401, 403, 0, 0, 0, 0, 0},
	"GET /tracking/timeseries/session_by_device/ingest/osmand/v1":                       {401, 403, 0, 0, 0, 0, 0},
	"GET /tracking/timeseries/session_by_device/ingest/osmand/v1/{credential}":          {401, 403, 0, 0, 0, 0, 0},
	"POST /tracking/timeseries/session_by_device/ingest/osmand/v1":                      {401, 403, 0, 0, 0, 0, 0},
	"POST /tracking/timeseries/session_by_device/ingest/osmand/v1/{credential}":         {401, 403, 0, 0, 0, 0, 0},
	"GET /tracking/timeseries/session_by_device/ingest/traccar_client/v1":               {401, 403, 0, 0, 0, 0, 0},
	"GET /tracking/timeseries/session_by_device/ingest/traccar_client/v1/{credential}":  {401, 403, 0, 0, 0, 0, 0},
	"POST /tracking/timeseries/session_by_device/ingest/traccar_client/v1":              {401, 403, 0, 0, 0, 0, 0},
	"POST /tracking/timeseries/session_by_device/ingest/traccar_client/v1/{credential}": {401, 403, 0, 0, 0, 0, 0},
	"GET /tracking/timeseries/session_by_device/ingest/gpslogger/v1":                    {401, 403, 0, 0, 0, 0, 0},
	"GET /tracking/timeseries/session_by_device/ingest/gpslogger/v1/{credential}":       {401, 403, 0, 0, 0, 0, 0},
	"POST /tracking/timeseries/session_by_device/ingest/gpslogger/v1":                   {401, 403, 0, 0, 0, 0, 0},
	"POST /tracking/timeseries/session_by_device/ingest/gpslogger/v1/{credential}":      {401, 403, 0, 0, 0, 0, 0},
	"POST /tracking/timeseries/session_by_device/ingest/traccar/v1":                     {401, 403, 0, 0, 0, 0, 0},
	"POST /tracking/timeseries/session_by_device/ingest/traccar/v1/{credential}":        {401, 403, 0, 0, 0, 0, 0},
	"POST /tracking/timeseries/session_by_device/outlier/v1":                            {401, 403, 403, 403, 0, 0, 0},
	"POST /tracking/devices/register_to_org/v1":                                         {401, 403, 403, 403, 0, 0, 0},
	"POST /tracking/sessions/create_session/v1":                                         {401, 403, 403, 403, 0, 0, 0},
	"POST /tracking/sessions/update/v1":                                                 {401, 403, 403, 403, 0, 0, 0},
	"POST /tracking/sessions/terminate/v1":                                              {401, 403, 403, 403, 0, 0, 0},
	"POST /tracking/sessions/update_shared_orgs/v1":                                     {401, 403, 403, 403, 403, 0, 0},
	"POST /orgs/api_keys/create/v1":                                                     {401, 403, 403, 403, 403, 0, 0},
	"GET /orgs/api_keys/list/v1":                                                        {401, 403, 403, 403, 403, 0, 0},
	"POST /orgs/api_keys/revoke/v1":                                                     {401, 403, 403, 403, 403, 0, 0},
	"POST /orgs/api_keys/rotate/v1":                                                     {401, 403, 403, 403, 403, 0, 0},
	"POST /orgs/api_keys/update/v1":                                                     {401, 403, 403, 403, 403, 0, 0},
	"GET /orgs/api_keys/usage/v1":                                                       {401, 403, 403, 403, 403, 0, 0},
	"GET /orgs/api_keys/events/v1":                                                      {401, 403, 403, 403, 403, 0, 0},
	"POST /orgs/device_credentials/create/v1":                                           {401, 403, 403, 403, 403, 0, 0},
	"GET /orgs/device_credentials/list/v1":                                              {401, 403, 403, 403, 403, 0, 0},
	"POST /orgs/device_credentials/revoke/v1":                                           {401, 403, 403, 403, 403, 0, 0},
	"POST /orgs/device_credentials/rotate/v1":                                           {401, 403, 403, 403, 403, 0, 0},
	"GET /orgs/device_credentials/events/v1":                                            {401, 403, 403, 403, 403, 0, 0},
	"GET /orgs/device_credentials/arrivals/v1":                                          {401, 403, 403, 403, 403, 0, 0},
	"GET /healthz":                      {0, 403, 0, 0, 0, 0, 0},
	"GET /readyz":                       {0, 403, 0, 0, 0, 0, 0},
	"GET /openapi.json":                 {0, 403, 0, 0, 0, 0, 0},
	"GET /docs":                         {0, 403, 0, 0, 0, 0, 0},
	"GET /docs/style.css":               {0, 403, 0, 0, 0, 0, 0},
	"GET /":                             {0, 403, 0, 0, 0, 0, 0},
	"GET /auth/session/v1":              {401, 403, 403, 0, 0, 0, 0},
	"GET /auth/options/v1":              {0, 403, 0, 0, 0, 0, 0},
	"POST /auth/sign_out/v1":            {0, 403, 0, 0, 0, 0, 0},
	"POST /auth/link/v1":                {0, 403, 0, 0, 0, 0, 0},
	"GET /auth/login":                   {0, 403, 0, 0, 0, 0, 0},
	"GET /auth/callback":                {0, 403, 0, 0, 0, 0, 0},
	"GET /auth/link":                    {0, 403, 0, 0, 0, 0, 0},
	"GET /console/":                     {0, 403, 0, 0, 0, 0, 0},
	"GET /console/app.css":              {0, 403, 0, 0, 0, 0, 0},
	"GET /console/base.css":             {0, 403, 0, 0, 0, 0, 0},
	"GET /console/chevron.svg":          {0, 403, 0, 0, 0, 0, 0},
	"GET /console/docs.js":              {0, 403, 0, 0, 0, 0, 0},
	"GET /console/icon.svg":             {0, 403, 0, 0, 0, 0, 0},
	"GET /console/link.js":              {0, 403, 0, 0, 0, 0, 0},
	"GET /console/main.js":              {0, 403, 0, 0, 0, 0, 0},
	"GET /console/map.json":             {0, 403, 0, 0, 0, 0, 0},
	"GET /console/map.pmtiles":          {0, 403, 0, 0, 0, 0, 0},
	"GET /console/track.js":             {0, 403, 0, 0, 0, 0, 0},
	"GET /console/vendor/land-10m.json": {0, 403, 0, 0, 0, 0, 0},
	"GET /console/vendor/land-50m.json": {0, 403, 0, 0, 0, 0, 0},
	"GET /console/vendor/licences.txt":  {0, 403, 0, 0, 0, 0, 0},
	"GET /console/vendor/map.js":        {0, 403, 0, 0, 0, 0, 0},
	"GET /console/vendor/qr.js":         {0, 403, 0, 0, 0, 0, 0},
	"GET /console/vendor/tiles.js":      {0, 403, 0, 0, 0, 0, 0},
	"GET /track/":                       {0, 403, 0, 0, 0, 0, 0},
}

func TestAuthorizeDecidesByTheMatrix(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range routes() {
		name := r.method + " " + r.path
		row, listed := matrix[name]
		if !listed {
			t.Errorf("%s is not in the matrix", name)
			continue
		}
		seen[name] = true
		for i, by := range callers {
			got := 0
			if refusal := r.Authorize(by.principal); refusal != nil {
				got = problem.From(refusal, problem.Query).Status
			}
			if got != row[i] {
				t.Errorf("%s by %s: %d, want %d", name, by.name, got, row[i])
			}
		}
	}
	for name := range matrix {
		if !seen[name] {
			t.Errorf("%s is in the matrix and not in the table", name)
		}
	}
	for _, by := range callers {
		want := 0
		if by.name == "API key" {
			want = 403
		}
		got := 0
		if refusal := noRoute.Authorize(by.principal); refusal != nil {
			got = problem.From(refusal, problem.Query).Status
		}
		if got != want {
			t.Errorf("a path that does not exist by %s: %d, want %d", by.name, got, want)
		}
	}
}

func TestAPrincipalOfNoKnownKindIsRefused(t *testing.T) {
	t.Parallel()
	for _, r := range routes() {
		if refusal := r.Authorize(&keys.Principal{Role: keys.RoleOwner}); refusal == nil {
			t.Errorf("%s let it in", r.path)
		}
	}
}
