package query

// AppendSession appends the JSON of a session to dst.
func AppendSession(dst []byte, s *SessionView) []byte { return dst }

// AppendPage appends {"items":[…],"total_count":n} to dst.
func AppendPage(dst []byte, page *Page) []byte { return dst }

// AppendSuggestions appends the JSON answer of the typeahead route to dst.
func AppendSuggestions(dst []byte, s *Suggestions) []byte { return dst }
