package problem

import "github.com/valyala/fasthttp"

// The words by which refusals are counted.
const (
	ReasonNoCredential = "no_credential"
	ReasonInvalid      = "invalid_credential"
	ReasonExpired      = "expired_credential"
	ReasonRevoked      = "revoked_credential"
	ReasonSecretInURL  = "credential_in_url"
	ReasonAPIKey       = "api_key_not_accepted"
	ReasonDevice       = "device_credential_not_accepted"
	ReasonRole         = "role_too_low"
	ReasonScope        = "scope_missing"
	ReasonAddress      = "address_not_allowed"
	ReasonCrossSite    = "cross_site"
	ReasonForbidden    = "forbidden"
	ReasonNotFound     = "not_found"
	ReasonNoRoute      = "no_route"
	ReasonConflict     = "conflict"
	ReasonInput        = "invalid_input"
	ReasonTooLarge     = "too_large"
	ReasonMalformed    = "malformed"
	ReasonSlow         = "too_slow"
	ReasonConnections  = "connections"
	ReasonRate         = "rate"
	ReasonBusy         = "busy"
	ReasonUnavailable  = "unavailable"
	ReasonDiskFull     = "disk_full"
	ReasonTimeout      = "timeout"
	ReasonInternal     = "internal"
	ReasonCut          = "cut" // an answer that broke off
)

// Reasons are all of them.
var Reasons = []string{
	ReasonNoCredential, ReasonInvalid, ReasonExpired, ReasonRevoked, ReasonSecretInURL, ReasonAPIKey, ReasonDevice, ReasonRole, ReasonScope, ReasonAddress,
	ReasonCrossSite, ReasonForbidden, ReasonNotFound, ReasonNoRoute, ReasonConflict, ReasonInput, ReasonTooLarge, ReasonMalformed, ReasonSlow,
	ReasonConnections, ReasonRate, ReasonBusy, ReasonUnavailable, ReasonDiskFull, ReasonTimeout, ReasonInternal, ReasonCut,
}

// CountedAs is the word by which a problem is counted: its own, or the usual one of its status.
func (p *Problem) CountedAs() string {
	if p.Reason != "" {
		return p.Reason
	}
	switch p.Status {
	case fasthttp.StatusUnauthorized:
		return ReasonInvalid
	case fasthttp.StatusForbidden:
		return ReasonForbidden
	case fasthttp.StatusNotFound:
		return ReasonNotFound
	case fasthttp.StatusMethodNotAllowed:
		return ReasonNoRoute
	case fasthttp.StatusConflict:
		return ReasonConflict
	case fasthttp.StatusUnprocessableEntity, fasthttp.StatusUnsupportedMediaType:
		return ReasonInput
	case fasthttp.StatusRequestEntityTooLarge, fasthttp.StatusRequestURITooLong, fasthttp.StatusRequestHeaderFieldsTooLarge:
		return ReasonTooLarge
	case fasthttp.StatusRequestTimeout:
		return ReasonSlow
	case fasthttp.StatusTooManyRequests:
		return ReasonRate
	case fasthttp.StatusServiceUnavailable:
		return ReasonUnavailable
	case fasthttp.StatusInternalServerError:
		return ReasonInternal
	}
	return ReasonMalformed
}
