package peer

// SpeakVersions has the next greetings say that this node speaks other versions of the messages.
func (p *Peers) SpeakVersions(oldest, newest int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.oldest, p.newest = oldest, newest
}

// QueuedBytes is how many bytes wait for a node at most.
const QueuedBytes = queuedBytes
