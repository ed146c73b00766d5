package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lastseen/keys"
	"lastseen/keys/people"
	"lastseen/schema/schematest"
)

// binary is the lastseen that the tests run, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "lastseen-binary-")
	if err == nil {
		binary = filepath.Join(dir, "lastseen")
		var output []byte
		build := []string{"build", "-o", binary}
		if os.Getenv("LASTSEEN_TEST_RACE") != "" {
			build = append(build, "-race") // the processes too, not the test alone
		}
		if output, err = exec.Command("go", append(build, ".")...).CombinedOutput(); err != nil {
			err = fmt.Errorf("%w\n%s", err, output)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the binary under test:", err)
		os.Exit(1)
	}
	code := m.Run()
	shared.stop()
	if err := schematest.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "end the ClickHouse under test:", err)
		code = 1
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// service is a running lastseen serve.
type service struct {
	dir, base string
	process   *exec.Cmd
	log       bytes.Buffer // what it wrote to standard error; read after it has ended
	logged    chan struct{}
}

// startTimeout bounds a start, which takes a second or so.
const startTimeout = time.Minute

// startService starts lastseen serve on a free port and returns when it listens.
func startService(dir string, flags ...string) (*service, error) {
	s, lines, err := launchService(dir, flags...)
	if err != nil {
		return nil, err
	}
	return s.listening(lines)
}

// listening returns the service when it listens.
func (s *service) listening(lines <-chan string) (*service, error) {
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	for {
		select {
		case line, open := <-lines:
			var entry struct{ Msg, Address string }
			if !open {
				err := s.process.Wait()
				return nil, fmt.Errorf("lastseen serve ended at its start: %w\n%s", err, s.log.String())
			}
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "listening" {
				s.base = "http://" + entry.Address
				go func() {
					for range lines {
					}
				}()
				return s, nil
			}
		case <-timeout.C:
			return nil, errors.Join(errors.New("lastseen serve does not listen"), s.kill())
		}
	}
}

// launchService starts lastseen serve and returns the lines that it logs, which must be received.
func launchService(dir string, flags ...string) (*service, <-chan string, error) {
	return launchServiceIn(nil, dir, flags...)
}

// launchServiceIn is launchService with more in the environment.
func launchServiceIn(env []string, dir string, flags ...string) (*service, <-chan string, error) {
	return launchServiceAs(func(process *exec.Cmd) { process.Env = append(os.Environ(), env...) }, dir, flags...)
}

// launchServiceAs is launchService with a change to the process before it starts.
func launchServiceAs(change func(*exec.Cmd), dir string, flags ...string) (*service, <-chan string, error) {
	s := &service{dir: dir, logged: make(chan struct{})}
	layout, err := schematest.ServeFlags(dir)
	if err != nil {
		return nil, nil, err
	}
	args := append([]string{"serve", "--addr", "127.0.0.1:0", "--data-dir", dir}, append(layout, flags...)...)
	s.process = exec.Command(binary, args...)
	change(s.process)
	stderr, err := s.process.StderrPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := s.process.Start(); err != nil {
		return nil, nil, err
	}
	lines := make(chan string)
	go func() {
		defer close(s.logged)
		defer close(lines)
		scanner := bufio.NewScanner(stderr)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			s.log.WriteString(scanner.Text() + "\n")
			lines <- scanner.Text()
		}
	}()
	return s, lines, nil
}

// terminate sends SIGTERM and returns how the process ended: nil for the exit code 0.
func (s *service) terminate() error {
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-s.logged
	if err := s.process.Wait(); err != nil {
		return fmt.Errorf("after SIGTERM: %w\n%s", err, s.log.String())
	}
	return nil
}

// kill is kill -9. It returns nil when that is how the process ended.
func (s *service) kill() error {
	if err := s.process.Process.Kill(); err != nil {
		return err
	}
	<-s.logged
	err := s.process.Wait()
	if status, ok := s.process.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		return nil
	}
	return fmt.Errorf("the process was not killed but ended by itself: %w\n%s", err, s.log.String())
}

// shared is one service for the tests that only need some service and an organisation of their own.
var shared sharedService

type sharedService struct {
	once    sync.Once
	service *service
	dir     string
	err     error
}

func sharedServer(t *testing.T) *service {
	t.Helper()
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "lastseen-shared-"); shared.err == nil {
			shared.service, shared.err = startService(shared.dir)
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.service
}

func (s *sharedService) stop() {
	if s.service != nil {
		if err := s.service.terminate(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the shared service:", err)
		}
	}
	os.RemoveAll(s.dir)
}

// token signs a user token with the service's own issuer.
func (s *service) token(t *testing.T, org string, role keys.Role) string {
	t.Helper()
	issuer, err := people.OpenIssuer(s.dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	token, err := issuer.Sign(people.User{ID: "user_test", OrgID: org, Role: role}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// requests of the tests go through one client, whose timeout only guards against hanging.
var requests = &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 100}}

// do makes a request and returns the status and the body.
func (s *service) do(ctx context.Context, method, path string, query url.Values, credential, body string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.base+path+"?"+query.Encode(), strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+credential)
	request.Header.Set("Accept", "application/json")
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := requests.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// get makes a GET request that must succeed, and decodes the answer.
func (s *service) get(t *testing.T, path string, query url.Values, credential string, into any) {
	t.Helper()
	status, body, err := s.do(t.Context(), http.MethodGet, path, query, credential, "")
	if err != nil || status != http.StatusOK {
		t.Fatalf("GET %s %v: %d %s %v", path, query, status, body, err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("GET %s %v: %v in %s", path, query, err, body)
	}
}

// post makes a POST request that must succeed, and decodes the answer.
func (s *service) post(t *testing.T, path string, query url.Values, credential, body string, into any) {
	t.Helper()
	status, answer, err := s.do(t.Context(), http.MethodPost, path, query, credential, body)
	if err != nil || status/100 != 2 {
		t.Fatalf("POST %s %v: %d %s %v", path, query, status, answer, err)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		t.Fatalf("POST %s: %v in %s", path, err, answer)
	}
}

// newSession registers a device and begins a session of it.
func (s *service) newSession(t *testing.T, token, device string) (sessionID string) {
	t.Helper()
	var deviceID string
	s.post(t, "/tracking/devices/register_to_org/v1", nil, token, fmt.Sprintf(`{"device_mac_address":%q,"schema_version":1}`, device), &deviceID)
	s.post(t, "/tracking/sessions/create_session/v1", url.Values{"device_id": {deviceID}}, token, `{"schema_version":1}`, &sessionID)
	return sessionID
}

// newKey makes an API key.
func (s *service) newKey(t *testing.T, token, name string) (key, id string) {
	t.Helper()
	var record struct {
		ID  string `json:"_id"`
		Key string `json:"key"`
	}
	body := fmt.Sprintf(`{"name":%q,"expires_at_timestamp":%q}`, name, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	s.post(t, "/orgs/api_keys/create/v1", nil, token, body, &record)
	return record.Key, record.ID
}

// command runs the binary to its end and returns what it wrote and its exit code.
func command(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return commandWithInput(t, "", env, args...)
}

func commandWithInput(t *testing.T, input string, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errors bytes.Buffer
	process := exec.CommandContext(t.Context(), binary, args...)
	process.Stdin, process.Stdout, process.Stderr = strings.NewReader(input), &out, &errors
	process.Env = append(os.Environ(), env...)
	process.Dir = t.TempDir()
	err := process.Run()
	if process.ProcessState == nil {
		t.Fatalf("run lastseen %q: %v", args, err)
	}
	return out.String(), errors.String(), process.ProcessState.ExitCode()
}
