package server

import "lastseen/keys"

// authorize decides whether a caller may use a route; principal is nil for one who showed no
// credential. It returns nil for yes, and the 401 or 403 to answer with for no. It is the only place
// that decides this; what a caller may see of a route's objects is decided where they are kept.
//
// An API key is good for the routes that say so and refused on every other path, public ones and
// those that do not exist included, so that a leaked key cannot be used to look around.
func authorize(r *route, principal *keys.Principal) *problem {
	if principal == nil {
		if r.public {
			return nil
		}
		return problemNoCredential
	}
	switch principal.Kind {
	case keys.CallerAPIKey:
		if !r.apiKeys {
			return problemAPIKey
		}
		return nil
	case keys.CallerDeviceCredential:
		if !r.deviceCredentials && !r.public {
			return problemDeviceCredential
		}
		return nil
	case keys.CallerUser:
		if !r.public && principal.Role < r.role {
			return problemRole
		}
		return nil
	}
	return problemNoCredential
}
