package history

import "lastseen/schema"

// errSessionsLeft ends an answer in which there may be points of a session that the caller may no longer see.
var errSessionsLeft = schema.Busy.Say("Sessions that were shared with you are no longer; ask again for what is left.")

// openSessions finds out whose points are wanted.
func (s *Stream) openSessions() error {
	r, access := &s.request, s.history.access
	if r.AllSessions {
		if r.Scope != schema.Owned {
			s.unshared = access.Unshared() // before: a session that is lost meanwhile is noticed
			s.shared = access.SharedWith(r.OrgID)
		}
		return nil
	}
	id, ok := schema.ParseID(r.SessionID)
	if !ok || !access.Exists(id, r.viewer()) {
		return schema.NoSession
	}
	s.session = id
	return nil
}

// allowed returns an error once the caller may no longer see the session, or one of those that others share. What an
// organisation owns it keeps.
func (s *Stream) allowed() error {
	r, access := &s.request, s.history.access
	if !r.AllSessions {
		if !access.Exists(s.session, r.viewer()) {
			return schema.NoSession
		}
		return nil
	}
	if len(s.shared) == 0 {
		return nil
	}
	unshared := access.Unshared()
	if unshared == s.unshared {
		return nil
	}
	for _, id := range s.shared {
		if !access.Exists(id, r.viewer()) {
			return errSessionsLeft
		}
	}
	s.unshared = unshared
	return nil
}

// arrivals are the points of a feed that come after a place.
func (s *Stream) arrivals(after, through schema.Receipt) schema.Arrivals {
	r := &s.request
	wanted := schema.Arrivals{Session: s.session, Sessions: s.shared, Start: s.from, End: r.End, After: after, Through: through}
	if r.AllSessions && r.Scope != schema.Shared {
		wanted.OrgID = r.OrgID
	}
	return wanted
}
