// Package replicated is what all nodes of a service have in memory: devices and sessions, the newest points, which keys and sign-ins are
// over, and how far the feed goes. It is the replica.State of a node.
//
// The node that leads writes to ClickHouse as a node that is alone does. Before it shows a change it shares it (share.go), and the protocol
// brings it to every node (state.go): as a Change, of which change.go has the forms. What a node has been given and has not been told that all
// have is pending: it is kept aside, and who asks for anything waits until it is opened (Enter). Sessions and points are so; that a key is
// revoked or a sign-in has ended counts at once, since it only takes rights away.
//
// A node that joins is given everything (snapshot.go); one that begins to lead closes the doors of the leader before it and reads what that
// one may have written without telling anybody (recover.go).
package replicated
