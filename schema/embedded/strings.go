package embedded

import "runtime"

// cStrings are strings in the form that C functions take: addresses, ended by
// a null address, of bytes that are ended by a zero byte, and their lengths.
// All of it stays in place until free is called.
type cStrings struct {
	address []*byte
	length  []uintptr
	pinner  runtime.Pinner
}

func newStrings(list []string) *cStrings {
	s := &cStrings{address: make([]*byte, len(list)+1), length: make([]uintptr, len(list)+1)}
	for i, text := range list {
		copied := make([]byte, len(text)+1)
		copy(copied, text)
		s.address[i], s.length[i] = &copied[0], uintptr(len(text))
		s.pinner.Pin(&copied[0])
	}
	s.pinner.Pin(&s.address[0])
	s.pinner.Pin(&s.length[0])
	return s
}

func (s *cStrings) first() **byte     { return &s.address[0] }
func (s *cStrings) lengths() *uintptr { return &s.length[0] }
func (s *cStrings) free()             { s.pinner.Unpin() }
