package server

import (
	"net/http"
	"strings"

	"lastseen/ingest/decode"
	"lastseen/server/openapi"
)

// forApps reports whether a route is an app's path with a credential in it, which the path without one
// stands for in the description.
func forApps(r *route) bool { return strings.HasSuffix(r.path, credentialSegment) }

// appDescriptions describe the routes of apps by what makes each of them forget a point.
func appDescriptions() map[string]description {
	anything := &openapi.Body{ContentTypes: []string{typeJSON, "application/x-www-form-urlencoded"}, Schema: openapi.Schema{}, Optional: true}
	taken := "What can be stored is stored; what never can be is left out, so that the app forgets it."
	all := map[string]description{}
	for _, a := range appMethods {
		d := description{tag: tagWriting, body: anything, answers: []openapi.Answer{{Status: http.StatusOK, Description: taken}}}
		switch a.app {
		case decode.OwnTracks:
			d.answers = answered(taken, openapi.Schema{"anyOf": []any{openapi.List(openapi.Schema{}), appResult()}})
		case decode.Overland:
			d.answers = answered(taken, appResult())
		}
		all[pathApps+string(a.app)+"/v1"] = d
	}
	return all
}

func appResult() openapi.Schema {
	return openapi.Object(openapi.Schema{"result": openapi.Choice("ok")}, "result")
}
