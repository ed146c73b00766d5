package peer

// QueuedBytes is how many bytes wait for a node at most.
const QueuedBytes = queuedBytes
