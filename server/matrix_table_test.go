package server

// The matrix of who may do what, written out by hand from docs/api.md: a row for every route that is
// not a file of the console.
//
// A row's request is about things of org_a: a session with a point that is shared with org_b, its
// device, and a key and a device credential that are revoked. Its cells are the answers to
//
//	nobody | API key of org_a, org_b, org_c | device credential of org_a, org_c |
//	driver of a, b, c | operator of a, b, c | administrator of a, b, c | owner of a, b, c
//
// A plus behind a status means that the answer holds the row's mark, a minus that it does not. API
// keys that are malformed, unknown, expired or revoked get 401 on every row.
var matrixRows = []struct{ request, mark, cells string }{
	// Reading: keys, and people from operator up; a shared session is there, a foreign one is not.
	{"GET " + pathLastSeen + "?session_id=SESSION", "SESSION",
		"401 | 200+ 200+ 404- | 403 403 | 403 403 403 | 200+ 200+ 404- | 200+ 200+ 404- | 200+ 200+ 404-"},
	{"POST " + pathLastSeenBatch + ` {"session_ids":["SESSION"]}`, `"metadata"`,
		"401 | 200+ 200+ 200- | 403 403 | 403 403 403 | 200+ 200+ 200- | 200+ 200+ 200- | 200+ 200+ 200-"},
	{"GET " + pathLastSeenChanges, "SESSION",
		"401 | 200+ 200+ 200- | 403 403 | 403 403 403 | 200+ 200+ 200- | 200+ 200+ 200- | 200+ 200+ 200-"},
	{"GET " + pathLastSeenChanges + "?org_scope=shared", "SESSION",
		"401 | 200- 200+ 200- | 403 403 | 403 403 403 | 200- 200+ 200- | 200- 200+ 200- | 200- 200+ 200-"},
	{"GET " + pathDataPoints + "?session_id=SESSION&DAY", "SESSION",
		"401 | 200+ 200+ 404- | 403 403 | 403 403 403 | 200+ 200+ 404- | 200+ 200+ 404- | 200+ 200+ 404-"},
	{"GET " + pathSessionsGet + "?session_id=SESSION", "SESSION",
		"401 | 200+ 200+ 404- | 403 403 | 403 403 403 | 200+ 200+ 404- | 200+ 200+ 404- | 200+ 200+ 404-"},
	{"GET " + pathSessionsList, "SESSION",
		"401 | 200+ 200+ 200- | 403 403 | 403 403 403 | 200+ 200+ 200- | 200+ 200+ 200- | 200+ 200+ 200-"},
	{"GET " + pathSessionsList + "?org_scope=owned", "SESSION",
		"401 | 200+ 200- 200- | 403 403 | 403 403 403 | 200+ 200- 200- | 200+ 200- 200- | 200+ 200- 200-"},
	{"GET " + pathTypeahead + "?query=0e:0", "00:00:00:00:0e:01",
		"401 | 200+ 200+ 200- | 403 403 | 403 403 403 | 200+ 200+ 200- | 200+ 200+ 200- | 200+ 200+ 200-"},

	// A public session is there for everybody on the public routes only, and not with an API key.
	{"GET " + pathLastSeenPublic + "?session_id=PUBLIC", "PUBLIC",
		"200+ | 403 403 403 | 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+"},
	{"GET " + pathPointsPublic + "?session_id=PUBLIC&DAY", "PUBLIC",
		"200+ | 403 403 403 | 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+"},
	{"GET " + pathLastSeenPublic + "?session_id=SESSION", "SESSION",
		"404- | 403 403 403 | 404- 404- | 404- 404- 404- | 404- 404- 404- | 404- 404- 404- | 404- 404- 404-"},
	{"GET " + pathPointsPublic + "?session_id=SESSION&DAY", "SESSION",
		"404- | 403 403 403 | 404- 404- | 404- 404- 404- | 404- 404- 404- | 404- 404- 404- | 404- 404- 404-"},
	{"GET " + pathLastSeen + "?session_id=PUBLIC", "PUBLIC",
		"401 | 200+ 404- 404- | 403 403 | 403 403 403 | 200+ 404- 404- | 200+ 404- 404- | 200+ 404- 404-"},

	// Writing: people only, and only what is their organisation's own; points also by device credentials.
	{"POST " + pathIngest + " [{\"session_id\":\"SESSION\",\"timestamp\":\"2026-01-15T09:30:01Z\",\"latitude\":50,\"longitude\":7}]", `"accepted":1`,
		"401 | 403 403 403 | 200+ 200- | 200+ 200- 200- | 200+ 200- 200- | 200+ 200- 200- | 200+ 200- 200-"},
	{"POST " + pathApps + "owntracks/v1 {\"_type\":\"lwt\"}", "[]",
		"401 | 403 403 403 | 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+"},
	{"POST " + pathApps + "overland/v1 {\"locations\":[]}", `{"result":"ok"}`,
		"401 | 403 403 403 | 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+"},
	{"GET " + pathApps + "osmand/v1", "",
		"401 | 403 403 403 | 200 200 | 200 200 200 | 200 200 200 | 200 200 200 | 200 200 200"},
	{"POST " + pathApps + "osmand/v1", "",
		"401 | 403 403 403 | 200 200 | 200 200 200 | 200 200 200 | 200 200 200 | 200 200 200"},
	{"GET " + pathApps + "traccar_client/v1", "",
		"401 | 403 403 403 | 200 200 | 200 200 200 | 200 200 200 | 200 200 200 | 200 200 200"},
	{"POST " + pathApps + "traccar_client/v1", "",
		"401 | 403 403 403 | 200 200 | 200 200 200 | 200 200 200 | 200 200 200 | 200 200 200"},
	{"GET " + pathApps + "gpslogger/v1", "",
		"401 | 403 403 403 | 200 200 | 200 200 200 | 200 200 200 | 200 200 200 | 200 200 200"},
	{"POST " + pathApps + "gpslogger/v1", "",
		"401 | 403 403 403 | 200 200 | 200 200 200 | 200 200 200 | 200 200 200 | 200 200 200"},
	{"POST " + pathApps + "traccar/v1 {\"event\":{}}", "",
		"401 | 403 403 403 | 200 200 | 200 200 200 | 200 200 200 | 200 200 200 | 200 200 200"},
	{"GET /?lat=1&lon=2", "osmand",
		"404+ | 403 403 403 | 404+ 404+ | 404+ 404+ 404+ | 404+ 404+ 404+ | 404+ 404+ 404+ | 404+ 404+ 404+"},
	{"POST " + pathOutlier + ` {"outlier":false,"tracking_session_by_device_data_point_ids":["POINT"]}`, `"successful_updates":1`,
		"401 | 403 403 403 | 403 403 | 403 403 403 | 200+ 200- 200- | 200+ 200- 200- | 200+ 200- 200-"},
	{"POST " + pathRegister + ` {"device_mac_address":"00:00:00:00:0e:01","schema_version":1}`, "DEVICE",
		"401 | 403 403 403 | 403 403 | 403 403 403 | 200+ 409- 409- | 200+ 409- 409- | 200+ 409- 409-"},
	{"POST " + pathCreateSession + `?device_id=DEVICE {"schema_version":1}`, "DEVICE", // which has an active one
		"401 | 403 403 403 | 403 403 | 403 403 403 | 409 404 404 | 409 404 404 | 409 404 404"},
	{"POST " + pathUpdateSession + `?session_id=SESSION {"comments":"c"}`, "true",
		"401 | 403 403 403 | 403 403 | 403 403 403 | 200+ 404 404 | 200+ 404 404 | 200+ 404 404"},
	{"POST " + pathTerminate + "?session_id=ENDED", "true", // again
		"401 | 403 403 403 | 403 403 | 403 403 403 | 409 404 404 | 409 404 404 | 409 404 404"},
	{"POST " + pathSharedOrgs + ` {"session_id":"SESSION","add_org_ids":["org_b"]}`, "true",
		"401 | 403 403 403 | 403 403 | 403 403 403 | 403 403 403 | 200+ 404 404 | 200+ 404 404"},

	// Keys and device credentials: administrators and owners.
	{"POST " + pathAPIKeys + `/create/v1 {"name":"matrix","expires_at_timestamp":"LATER"}`, `"org_id":"org_a"`,
		"401 | 403 403 403 | 403 403 | 403 403 403 | 403 403 403 | 201+ 201- 201- | 201+ 201- 201-"},
	{"GET " + pathAPIKeys + "/list/v1", "ENDEDKEY",
		"401 | 403 403 403 | 403 403 | 403 403 403 | 403 403 403 | 200+ 200- 200- | 200+ 200- 200-"},
	{"POST " + pathAPIKeys + "/revoke/v1?api_key_id=ENDEDKEY", "ENDEDKEY",
		"401 | 403 403 403 | 403 403 | 403 403 403 | 403 403 403 | 200+ 404- 404- | 200+ 404- 404-"},
	{"POST " + pathAPIKeys + `/rotate/v1?api_key_id=ENDEDKEY {"grace_seconds":0}`, "ENDEDKEY",
		"401 | 403 403 403 | 403 403 | 403 403 403 | 403 403 403 | 409 404 404 | 409 404 404"},
	{"GET " + pathAPIKeys + "/events/v1?page_size=1000", "ENDEDKEY",
		"401 | 403 403 403 | 403 403 | 403 403 403 | 403 403 403 | 200+ 200- 200- | 200+ 200- 200-"},
	{"POST " + pathDeviceCredentials + `/create/v1 {"name":"matrix","expires_at_timestamp":"LATER"}`, `"org_id":"org_a"`,
		"401 | 403 403 403 | 403 403 | 403 403 403 | 403 403 403 | 201+ 201- 201- | 201+ 201- 201-"},
	{"GET " + pathDeviceCredentials + "/list/v1", "ENDEDCREDENTIAL",
		"401 | 403 403 403 | 403 403 | 403 403 403 | 403 403 403 | 200+ 200- 200- | 200+ 200- 200-"},
	{"POST " + pathDeviceCredentials + "/revoke/v1?device_credential_id=ENDEDCREDENTIAL", "ENDEDCREDENTIAL",
		"401 | 403 403 403 | 403 403 | 403 403 403 | 403 403 403 | 200+ 404- 404- | 200+ 404- 404-"},
	{"POST " + pathDeviceCredentials + `/rotate/v1?device_credential_id=ENDEDCREDENTIAL {"grace_seconds":0}`, "ENDEDCREDENTIAL",
		"401 | 403 403 403 | 403 403 | 403 403 403 | 403 403 403 | 409 404 404 | 409 404 404"},
	{"GET " + pathDeviceCredentials + "/events/v1?page_size=1000", "ENDEDCREDENTIAL",
		"401 | 403 403 403 | 403 403 | 403 403 403 | 403 403 403 | 200+ 200- 200- | 200+ 200- 200-"},

	// Signing in, and the service itself.
	{"GET " + pathSession, "org_a",
		"401 | 403 403 403 | 403 403 | 200+ 200- 200- | 200+ 200- 200- | 200+ 200- 200- | 200+ 200- 200-"},
	{"GET " + pathOptions, "provider",
		"200+ | 403 403 403 | 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+"},
	{"POST " + pathSignOut, "true",
		"200+ | 403 403 403 | 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+"},
	{"POST " + pathLink + ` {"token":"x"}`, "link", // which the token does not belong to
		"401 | 403 403 403 | 401 401 | 401 401 401 | 401 401 401 | 401 401 401 | 401 401 401"},
	{"GET " + pathLogin, "",
		"303 | 403 403 403 | 303 303 | 303 303 303 | 303 303 303 | 303 303 303 | 303 303 303"},
	{"GET " + pathCallback, "",
		"303 | 403 403 403 | 303 303 | 303 303 303 | 303 303 303 | 303 303 303 | 303 303 303"},
	{"GET /healthz", "ok",
		"200+ | 403 403 403 | 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+"},
	{"GET /readyz", "ready",
		"200+ | 403 403 403 | 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+"},
	{"GET /", "lastseen",
		"200+ | 403 403 403 | 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+"},
	{"GET /openapi.json", "3.1",
		"200+ | 403 403 403 | 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+"},
	{"GET /docs", "API",
		"200+ | 403 403 403 | 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+"},
	{"GET /docs/style.css", "nav",
		"200+ | 403 403 403 | 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+ | 200+ 200+ 200+"},
	{"GET /there/is/no/such/path", "route",
		"404+ | 403 403 403 | 404+ 404+ | 404+ 404+ 404+ | 404+ 404+ 404+ | 404+ 404+ 404+ | 404+ 404+ 404+"},
	{"DELETE " + pathLastSeen, "method",
		"405+ | 405+ 405+ 405+ | 405+ 405+ | 405+ 405+ 405+ | 405+ 405+ 405+ | 405+ 405+ 405+ | 405+ 405+ 405+"},
	{"DELETE " + pathIngest, "method",
		"405+ | 403 403 403 | 405+ 405+ | 405+ 405+ 405+ | 405+ 405+ 405+ | 405+ 405+ 405+ | 405+ 405+ 405+"},
}
