package schema

// ReadsAtStart returns the statements whose rows a start keeps in memory: every device, session and checkpoint. They are
// here for who measures how long ClickHouse alone takes to hand these out.
func ReadsAtStart() []string { return []string{selectDevices, selectSessions, selectCheckpoints} }
