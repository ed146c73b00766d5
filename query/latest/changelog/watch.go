package changelog

// Watch tells its owner when a Log may have changed. It belongs to one goroutine.
type Watch struct {
	changed chan struct{} // has room for one
}

// NewWatch returns a watch of no logs yet.
func NewWatch() *Watch { return &Watch{changed: make(chan struct{}, 1)} }

// Changed receives when a log that is watched may have changed since the last receive.
func (w *Watch) Changed() <-chan struct{} { return w.changed }

// Watch begins to tell w of what changes from now on.
func (l *Log) Watch(w *Watch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watching == nil {
		l.watching = make(map[*Watch]struct{})
	}
	l.watching[w] = struct{}{}
	l.watchers.Add(1)
}

// Unwatch ends that.
func (l *Log) Unwatch(w *Watch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.watching, w)
	l.watchers.Add(-1)
}

// Watched reports whether somebody watches.
func (l *Log) Watched() bool { return l.watchers.Load() > 0 }

// Wake tells everybody who watches that the log has changed, which it has by now.
func (l *Log) Wake() {
	l.due.Store(false)
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range l.watching {
		select {
		case w.changed <- struct{}{}:
		default: // it has yet to look at an earlier change, and will see this one too
		}
	}
}
