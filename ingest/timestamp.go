package ingest

// ParseTimestamp reads an RFC 3339 date and time and returns it as Unix milliseconds; what is finer
// is cut off towards the past. As RFC 3339 allows, "t" and "z" may be small and a space may stand
// for the "T"; the offset may also be written +hhmm. A time without an offset is refused, since
// nobody knows where its device's clock was set. Years 0000 to 9999.
//
// It returns false for any other text.
func ParseTimestamp[T string | []byte](text T) (int64, bool) {
	return 0, false
}
