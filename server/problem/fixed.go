package problem

import (
	"lastseen/schema"

	"github.com/valyala/fasthttp"
)

const (
	challengePlain   = `Bearer realm="lastseen"`
	challengeInvalid = `Bearer realm="lastseen", error="invalid_token"`
)

// The problems that need no detail of their own; the detail of each says what it stands for.
var (
	NoCredential = &Problem{Status: fasthttp.StatusUnauthorized, Reason: ReasonNoCredential, Authenticate: challengePlain,
		Detail: "Send an API key or a user token in the Authorization header: Authorization: Bearer <credential>."}
	NoAppCredential = &Problem{Status: fasthttp.StatusUnauthorized, Reason: ReasonNoCredential, Authenticate: challengePlain,
		Detail: "Send a device credential: as the token of Authorization: Bearer, as the password of Authorization: Basic, or, for apps that can do neither, at the end of the path."}
	InvalidCredential = &Problem{Status: fasthttp.StatusUnauthorized, Reason: ReasonInvalid, Authenticate: challengeInvalid,
		Detail: "The credential is invalid; use one that was issued for this service."}
	ExpiredCredential = &Problem{Status: fasthttp.StatusUnauthorized, Reason: ReasonExpired, Authenticate: challengeInvalid,
		Detail: "The credential has expired; use a new one."}
	RevokedCredential = &Problem{Status: fasthttp.StatusUnauthorized, Reason: ReasonRevoked, Authenticate: challengeInvalid,
		Detail: "The credential has been revoked; use a new one."}
	APIKeyRefused = &Problem{Status: fasthttp.StatusForbidden, Reason: ReasonAPIKey,
		Detail: "This route does not support API key authentication; use a user token."}
	DeviceCredentialRefused = &Problem{Status: fasthttp.StatusForbidden, Reason: ReasonDevice,
		Detail: "This route does not support device credential authentication: a device credential can only send points."}
	RoleTooLow = &Problem{Status: fasthttp.StatusForbidden, Reason: ReasonRole,
		Detail: "Your role does not allow this; ask an administrator of your organisation."}
	ScopeMissing = &Problem{Status: fasthttp.StatusForbidden, Reason: ReasonScope,
		Detail: "This API key is not for this route: use one whose scopes include it."}
	AddressRefused = &Problem{Status: fasthttp.StatusForbidden, Reason: ReasonAddress,
		Detail: "This API key is not accepted from your address: call from one of its allowed_ip_ranges."}
	NotFound = &Problem{Status: fasthttp.StatusNotFound,
		Detail: "There is no such object, or your organisation cannot see it; check the id."}
	NoRoute = &Problem{Status: fasthttp.StatusNotFound, Reason: ReasonNoRoute,
		Detail: "There is no such route; check the path against the API's documentation."}
	URITooLong = &Problem{Status: fasthttp.StatusRequestURITooLong,
		Detail: "The URL is too long; shorten its parameters."}
	Busy = &Problem{Status: fasthttp.StatusServiceUnavailable, Reason: ReasonBusy, RetryAfter: 1,
		Detail: "The service is busy; try again in a second."}
	Unavailable = &Problem{Status: fasthttp.StatusServiceUnavailable, RetryAfter: 5,
		Detail: "The data store cannot be reached; send the same request again in a few seconds."}
	DiskFull = &Problem{Status: fasthttp.StatusServiceUnavailable, Reason: ReasonDiskFull, RetryAfter: 30,
		Detail: "Nothing was stored, as the service's disk is nearly full; keep the points and send them again later."}
	Timeout = &Problem{Status: fasthttp.StatusServiceUnavailable, Reason: ReasonTimeout, RetryAfter: 5,
		Detail: "The request took too long; ask for less at a time, or try again in a few seconds."}
	StoreSetBack = &Problem{Status: fasthttp.StatusServiceUnavailable, Reason: ReasonUnavailable, RetryAfter: 30,
		Detail: "The data store was set back to an earlier state, perhaps from a backup, so that nothing is answered until whoever runs this service has restarted it."}
	Stopping = &Problem{Status: fasthttp.StatusServiceUnavailable, RetryAfter: 5,
		Detail: "The service is stopping; try again in a few seconds."}
	Internal = &Problem{Status: fasthttp.StatusInternalServerError,
		Detail: "Something went wrong on our side; if it happens again, report it with this request_id."}
	BodyCut = &Problem{Status: fasthttp.StatusBadRequest,
		Detail: "The body ended before its announced length; send the request again."}
	BodySlow = &Problem{Status: fasthttp.StatusRequestTimeout,
		Detail: "The request did not arrive in time; send it again, in smaller parts if it is large."}
	Malformed = &Problem{Status: fasthttp.StatusBadRequest,
		Detail: "The request is not well-formed HTTP; check the client that sends it."}
	HTTPVersion = &Problem{Status: fasthttp.StatusHTTPVersionNotSupported,
		Detail: "This version of HTTP is not spoken here; use HTTP/1.1."}
	HTTP10 = &Problem{Status: fasthttp.StatusHTTPVersionNotSupported,
		Detail: "This answer is too long for HTTP/1.0, which has no way to tell its end from a failure; use HTTP/1.1."}
	HeaderTooLarge = &Problem{Status: fasthttp.StatusRequestHeaderFieldsTooLarge,
		Detail: "The request's headers are too large; send fewer or shorter ones."}
	JSONType = &Problem{Status: fasthttp.StatusUnsupportedMediaType,
		Detail: "Send the body as Content-Type: application/json, without a Content-Encoding."}
	PointsType = &Problem{Status: fasthttp.StatusUnsupportedMediaType,
		Detail: "Send the points as Content-Type: application/json or application/x-ndjson."}
	Encoding = &Problem{Status: fasthttp.StatusUnsupportedMediaType,
		Detail: "Send the body as it is, or with Content-Encoding: gzip or zstd."}
	SecretInURL = &Problem{Status: fasthttp.StatusUnauthorized, Reason: ReasonSecretInURL, Authenticate: challengePlain,
		Detail: "Credentials are not accepted in the URL, where logs and histories keep them: send it in the Authorization header, and replace the one that was in the URL."}
	TooLarge = &Problem{Status: fasthttp.StatusRequestEntityTooLarge,
		Detail: "The body is too large for this route; send less."}
	TooManyPoints = &Problem{Status: fasthttp.StatusRequestEntityTooLarge,
		Detail: "Send at most 100,000 points and 32 MiB, after decompression, in one body; split the batch."}
	CrossSite = &Problem{Status: fasthttp.StatusForbidden, Reason: ReasonCrossSite,
		Detail: "This request does not come from a page of this service; reload the page and try again."}
	NotMember = &Problem{Status: fasthttp.StatusForbidden,
		Detail: "You have no role in that organisation; choose one of yours."}
	NoSession = &Problem{Status: fasthttp.StatusNotFound,
		Detail: schema.NoSession.Sentence}
	Share = &Problem{Status: fasthttp.StatusTooManyRequests, Reason: ReasonBusy, RetryAfter: 1,
		Detail: "As many of these requests run as your organisation, or all without a credential together, may have at the same time; go on when one of them has ended."}
	Slots = &Problem{Status: fasthttp.StatusServiceUnavailable, Reason: ReasonBusy, RetryAfter: 1,
		Detail: "More connections poll than the service keeps up with; try again in a second, and with fewer connections if you have many."}
	Connections = &Problem{Status: fasthttp.StatusServiceUnavailable, Reason: ReasonConnections, RetryAfter: 1,
		Detail: "The service has as many connections as it accepts; try again in a second."}
	AddressConnections = &Problem{Status: fasthttp.StatusTooManyRequests, Reason: ReasonConnections, RetryAfter: 1,
		Detail: "There are too many connections from your address; reuse them, or try again in a second."}
	NotSecure = &Problem{Status: fasthttp.StatusBadRequest,
		Detail: "The service speaks HTTPS here; begin the address with https://."}
	Elsewhere = &Problem{Status: fasthttp.StatusServiceUnavailable, RetryAfter: 1,
		Detail: "Another node answers for this session; try again in a second."}
	NoRight = &Problem{Status: fasthttp.StatusServiceUnavailable, RetryAfter: 1,
		Detail: "This node is not in touch with the others; try again in a second, or at another node."}
	Pending = &Problem{Status: fasthttp.StatusServiceUnavailable, RetryAfter: 1,
		Detail: "A change is on its way to all nodes; try again in a second."}
	NoLeader = &Problem{Status: fasthttp.StatusServiceUnavailable, RetryAfter: 1,
		Detail: "No node takes changes at this moment, or the answer of the one that does was lost; send the same request again in a second."}
	// Departed is for the log and the metrics; nobody reads the answer. The status is what nginx logs in the same case.
	Departed    = &Problem{Status: 499, Detail: "You have closed the connection; keep it open until the answer is complete."}
	LinkInvalid = &Problem{Status: fasthttp.StatusUnauthorized, Authenticate: challengeInvalid,
		Detail: "This is not a sign-in link of this service; make a new one on the machine that it runs on."}
	LinkExpired = &Problem{Status: fasthttp.StatusUnauthorized, Authenticate: challengeInvalid,
		Detail: "This sign-in link has expired; make a new one."}
	LinkUsed = &Problem{Status: fasthttp.StatusUnauthorized, Authenticate: challengeInvalid,
		Detail: "This sign-in link has been used already; make a new one."}
)
