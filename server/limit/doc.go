// Package limit bounds what callers may have of what all share: gates bound how much is in use at once,
// rates how often something may happen, each by owner, so that nobody takes what the others need. It
// knows neither routes nor HTTP.
package limit
