package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// inheritedListener returns the socket that systemd listens on for the service and has handed over (LISTEN_FDS), nil where
// it has none. Such a socket outlives the process: who connects while the service restarts waits for the next one.
func inheritedListener() (*net.TCPListener, error) {
	listeners, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("take the socket over from systemd: %w", err)
	}
	if len(listeners) == 0 {
		return nil, nil
	}
	if listener, is := listeners[0].(*net.TCPListener); is && len(listeners) == 1 {
		return listener, nil
	}
	for _, listener := range listeners {
		if listener != nil { // as what is no stream's socket is
			err = errors.Join(err, listener.Close())
		}
	}
	return nil, errors.Join(fmt.Errorf("systemd has handed %d sockets over, where the service takes one of TCP: "+
		"leave one ListenStream=HOST:PORT in lastseen.socket", len(listeners)), err)
}

// tellSystemd tells the service manager how the service is, where one wants to know (NOTIFY_SOCKET).
func tellSystemd(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("the service manager could not be told how the service is", "state", state, "error", err)
	}
}
