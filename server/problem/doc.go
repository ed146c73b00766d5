// Package problem is how the service says no: RFC 9457 problem details, the fixed sentences, the words by which refusals
// are counted, and, in From, the one place that turns the errors of all other packages into status codes.
package problem
