package main

// publicError is a sentence that an answer shows as it is.
type publicError string

// Error implements error.
func (e publicError) Error() string { return string(e) }

const (
	errLoading    publicError = "The service is loading; try again in a second."
	errOtherLease publicError = "The service finds out whether another lastseen writes to its database, and waits for the end of one that was killed; its log says which."
	errNoKeeper   publicError = "The service waits for the Keeper, which has the register of its nodes."
	errNotJoined  publicError = "This node waits until it may take part with the other nodes; its log and, for operators, lastseen nodes say why."
	errUnreached  publicError = "This node waits until it may take part with the other nodes, which do not reach it at its --peer-addr; its log and, for operators, lastseen nodes say why."
	errNoLease    publicError = "This node may not write to the database at present; the service's log says why."
	errNotInTouch publicError = "This node is not in touch with the others; its log says why."
	errNotReady   publicError = "ClickHouse is out of reach; try again in a moment."
	errKeysDenied publicError = "A part of the stored keys is damaged, so that all keys are refused; the service's log says what to do."
)
