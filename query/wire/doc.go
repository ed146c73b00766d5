// Package wire writes values as the contract has them: numbers, times, places and data points. It appends
// to buffers and does not allocate.
package wire
