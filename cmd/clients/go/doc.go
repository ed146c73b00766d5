// Package client speaks to a lastseen server over HTTP. It needs nothing but the standard library.
//
//	server, err := client.New("https://tracking.example", os.Getenv("LASTSEEN_KEY"))
//	point, err := server.LastSeen(ctx, session)
//
// LastSeen asks for one session's newest point, a Poll follows it by its ETag, a Batch many sessions at once, and Changes
// a whole organisation. DataPoints streams a session's history, Feed every point of a fleet as it arrives, and Download
// gets either as a file, Parquet for instance. Sessions lists sessions; Ingest sends points. What an API key may not do,
// such as making keys and devices, takes a user token in its place.
//
// What may be made again is: after 429 and 503, as late as Retry-After asks for, and after a broken connection where
// that is harmless, eight times at most. Errors of the server's are a *Problem, and what never got a whole answer an
// *UnreachableError. Every method ends with its context.
//
// client.go makes requests, download.go answers of any length and errors.go what fails; last_seen.go, changes.go,
// history.go, sessions.go, ingest.go and keys.go are the routes.
package client
