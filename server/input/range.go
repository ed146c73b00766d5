package input

import "strconv"

// Range is what a whole number may be, both ends included. A parameter's reader and its description share one.
type Range struct{ Least, Most int }

func (r Range) holds(number int) bool { return number >= r.Least && number <= r.Most }

// String returns the range in words.
func (r Range) String() string {
	return "from " + strconv.Itoa(r.Least) + " to " + strconv.Itoa(r.Most)
}
