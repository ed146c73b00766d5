package sessions

import "time"

// Reader lists sessions. It is safe for concurrent use; what it returns belongs to the caller, but for the lists of a
// session, which nobody changes. Its errors match schema.NotFound or schema.Invalid. It asks ClickHouse for nothing.
type Reader struct {
	index   *Index
	walks   *walks
	cursors cursors
	now     func() time.Time
}

// NewReader returns a Reader of the sessions in an index. cursorKey signs cursors; those of another key are refused.
// now is the clock (time.Now in production).
func NewReader(index *Index, cursorKey []byte, now func() time.Time) *Reader {
	return &Reader{index: index, walks: newWalks(), cursors: cursors{cursorKey}, now: now}
}

// List returns a page of the sessions that an organisation may see. Sessions whose sort value is unknown come last in
// either order, and ties are in ascending order of the id. Every point counts that was acknowledged before the call.
// Who follows the cursors of the pages from the first one on gets every session that matches all the time, and each
// once, however the order changes meanwhile; see walks for the limits of that.
func (s *Reader) List(orgID string, request ListRequest) (Page, error) {
	if err := request.Validate(); err != nil {
		return Page{}, err
	}
	l := listing{reader: s, orgID: orgID, request: &request, now: s.now()}
	return l.make()
}
