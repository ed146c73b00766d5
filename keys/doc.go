// Package keys says who is calling: the principal and the roles. How a credential is told to be somebody's
// is the business of the packages below: apikey for keys and device credentials, people for user tokens
// and browsers. None of them serves HTTP.
package keys
