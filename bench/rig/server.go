package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"lastseen/bench/process"
)

// Server is a ClickHouse server in which services keep their data, each in a database of its own. One
// goroutine uses it.
type Server struct {
	// Version is what it says of itself.
	Version string

	address   url.URL          // without a database
	process   *process.Process // nil where somebody else runs it
	launch    process.Launch   // of the process
	databases []string         // that were made
}

// databasePrefix begins the names of the suite's databases, which it drops before it makes them.
const databasePrefix = "lastseen_bench_"

// StartServer starts `lastseen clickhouse` with its data and its log in a folder.
func StartServer(ctx context.Context, lastseen, dir string, cpus []int) (*Server, error) {
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	s := &Server{address: url.URL{Scheme: "http", Host: address}, launch: process.Launch{
		Name: "clickhouse", Path: lastseen, Dir: dir, CPUs: cpus, Args: []string{"clickhouse", "--data-dir", dir, "--http-addr", address},
	}}
	return s, s.Start(ctx)
}

// Start starts a server of the suite's own that has been killed, on the data that it had.
func (s *Server) Start(ctx context.Context) (err error) {
	if s.process, err = s.launch.Start(); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.process.AwaitHTTP(waiting, s.address.String()+"/ping"); err != nil {
		return errors.Join(err, s.process.Stop())
	}
	if err := s.greet(ctx); err != nil {
		return errors.Join(err, s.process.Stop())
	}
	return nil
}

// Kill ends a server of the suite's own as it is.
func (s *Server) Kill() error { return s.process.Kill() }

// UseServer uses a server that somebody else runs, by its address, http://user:password@host:8123 for
// example. The errors leave the address out, for it may hold a password.
func UseServer(ctx context.Context, address string) (*Server, error) {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" || strings.Trim(parsed.Path, "/") != "" || parsed.RawQuery != "" {
		return nil, errors.New("the address of a ClickHouse server to measure on is http://user:password@host:8123, without a database: the suite makes its own")
	}
	parsed.Path = ""
	s := &Server{address: *parsed}
	return s, s.greet(ctx)
}

// greet asks the server for its version.
func (s *Server) greet(ctx context.Context) error {
	version, err := s.query(ctx, "SELECT version()")
	s.Version = "ClickHouse " + strings.TrimSpace(version)
	return err
}

// CPU returns the processor time that the server has spent, 0 where somebody else runs it.
func (s *Server) CPU() time.Duration { return process.CPU(s.processes()...) }

// processes are the suite's own, none where somebody else runs the server.
func (s *Server) processes() []*process.Process {
	if s == nil || s.process == nil {
		return nil
	}
	return []*process.Process{s.process}
}

// Describe says in a line what the server is.
func (s *Server) Describe() string {
	if s.process == nil {
		return fmt.Sprintf("on a ClickHouse server at %s, over HTTP", s.address.Host)
	}
	return "on a ClickHouse server that is a process of its own on the same machine (`lastseen clickhouse`), over HTTP by loopback; its processor time counts as the service's"
}

// authorization is the header field that lets a request in, empty where nobody asks for it.
func (s *Server) authorization() string {
	if s.address.User == nil {
		return ""
	}
	request := http.Request{Header: http.Header{}}
	password, _ := s.address.User.Password()
	request.SetBasicAuth(s.address.User.Username(), password)
	return request.Header.Get("Authorization")
}

// query runs a statement and returns its result as text.
func (s *Server) query(ctx context.Context, statement string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	address := s.address
	address.User, address.Path = nil, "/"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), strings.NewReader(statement))
	if err != nil {
		return "", fmt.Errorf("ask ClickHouse: %w", err)
	}
	if credential := s.authorization(); credential != "" {
		request.Header.Set("Authorization", credential)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask ClickHouse: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("read ClickHouse's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("ClickHouse answered %s: %.300s", response.Status, text)
	}
	return string(text), nil
}

// database is the address of the database of a service, as `serve --clickhouse` takes it.
func (s *Server) database(name string) string {
	address := s.address
	address.Path = "/" + databaseName(name)
	return address.String()
}

func databaseName(service string) string {
	return databasePrefix + strings.ReplaceAll(service, "-", "_")
}

// empty drops what an earlier run has left in the database of a service.
func (s *Server) empty(ctx context.Context, name string) error {
	s.databases = append(s.databases, databaseName(name))
	_, err := s.query(ctx, "DROP DATABASE IF EXISTS "+databaseName(name)+" SYNC")
	return err
}

// Close drops the databases of a server that somebody else runs, and stops one of the suite's own.
func (s *Server) Close(ctx context.Context) error {
	if s.process != nil {
		return s.process.Stop()
	}
	var errs []error
	for _, name := range s.databases {
		_, err := s.query(context.WithoutCancel(ctx), "DROP DATABASE IF EXISTS "+name+" SYNC")
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Select is a request to the server itself: where it goes, and its path with the statement and its parameters.
type Select struct{ Address, Authorization, Path string }

// Select makes a request for the rows that a statement finds in the database of a service. There is none where
// services keep their data in themselves, or where the server wants TLS.
func (s *Server) Select(name, statement string, parameters map[string]string) (request Select, possible bool) {
	if s == nil || s.address.Scheme != "http" {
		return request, false
	}
	values := url.Values{"database": {databaseName(name)}, "query": {statement}}
	for parameter, value := range parameters {
		values.Set("param_"+parameter, value)
	}
	return Select{Address: s.address.Host, Authorization: s.authorization(), Path: "/?" + values.Encode()}, true
}
