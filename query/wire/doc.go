// Package wire writes values as the contract has them: numbers, times, places and data points. It appends
// to its caller's buffers and, a new PointEncoder aside, allocates nothing where these have room.
package wire
