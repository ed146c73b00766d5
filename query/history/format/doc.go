// Package format has the formats of a history, one a file: how points are written one after the other.
package format
