// Package stays finds stationary clusters, which are stay points, in a stream of positions.
package stays
