package rig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"lastseen/bench/loadgen"
	"lastseen/bench/process"
	"lastseen/bench/traffic"
)

// Service is a running lastseen or baseline, or a deployment that somebody else runs.
type Service struct {
	// Name is what it is called on the command line, Label in tables.
	Name, Label string
	// Version is that of a program that is not ours, empty otherwise.
	Version string
	// Target is where its loads go, Host for the Host header, and Prefix that of every path.
	Target       loadgen.Target
	Host, Prefix string
	// Catalogue is what is in it.
	Catalogue *traffic.Catalogue
	// Polls makes the source of one worker that polls last_seen.
	Polls traffic.Start
	// API calls the routes for people; nil where there are none.
	API *API

	processes []*process.Process // its own, to be stopped last to first
	others    []*process.Process // that work for it and for others
}

// Stop ends the service's processes.
func (s *Service) Stop() error {
	var errs []error
	for i := len(s.processes) - 1; i >= 0; i-- {
		errs = append(errs, s.processes[i].Stop())
	}
	s.processes = nil
	return errors.Join(errs...)
}

// CPU returns the processor time that the service has spent, with that of what works for it, 0 where it is
// not on this machine.
func (s *Service) CPU() time.Duration { return process.CPU(slices.Concat(s.processes, s.others)...) }

// Resident returns the memory of the service's first process in bytes, 0 where it is not on this machine.
func (s *Service) Resident() (int64, error) {
	if len(s.processes) == 0 {
		return 0, nil
	}
	return s.processes[0].Resident()
}

// Sockets returns how many the service's first process has open, 0 where that cannot be told.
func (s *Service) Sockets() int {
	if len(s.processes) == 0 {
		return 0
	}
	return s.processes[0].Sockets()
}

// PollOnce polls a session with a key, by a client like others' and with more header fields: name and value
// in turn. The caller closes the answer's body.
func (s *Service) PollOnce(ctx context.Context, key string, session int, headers ...string) (*http.Response, error) {
	address := s.API.Base + traffic.PathLastSeen + "?" + url.Values{"session_id": {string(s.Catalogue.ID(session))}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("make a poll: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return s.API.Client.Do(request)
}
