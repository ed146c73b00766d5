package schema

// Viewer is who wants to see a session: somebody of an organisation, or anybody.
type Viewer struct {
	OrgID  string
	Public bool // without a credential, to whom public sessions are shown; OrgID is ignored
}
