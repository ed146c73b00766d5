package sessions

import "lastseen/schema"

// Session returns what is known of a session of an organisation, but for its version, and false when that has none of the id.
func (x *Index) Session(orgID string, id schema.ID) (schema.Session, bool) {
	f := x.known(orgID)
	if f == nil {
		return schema.Session{}, false
	}
	var spot [1]uint32
	x.newest.Spots([]schema.ID{id}, spot[:])
	number, known := x.rowAt(spot[0])
	if !known {
		return schema.Session{}, false
	}
	return f.session(orgID, number)
}
