package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"lastseen/bench/dataset"
	"lastseen/bench/loadgen"
	"lastseen/bench/rival"
	"lastseen/server/limit"
)

// startTimeout bounds the start of one process, loading included.
const startTimeout = 10 * time.Minute

// rivalNames are what lastseen can be compared with.
var rivalNames = []string{rival.Bare, "redis", rival.Postgres, rival.Naive}

// runRival starts a process of this binary that serves a rival.
func (s *suite) runRival(folder string, config rival.Config) (launch, error) {
	dir, err := s.folder(folder)
	if err != nil {
		return launch{}, err
	}
	text, err := json.Marshal(config)
	if err != nil {
		return launch{}, fmt.Errorf("encode the settings of %s: %w", config.Name, err)
	}
	path := filepath.Join(dir, config.Name+".json") // a file, since keys are no business of the process list
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return launch{}, fmt.Errorf("write the settings of %s: %w", config.Name, err)
	}
	return launch{name: config.Name, path: s.config.Executable, args: []string{"bench", "contender", path}, dir: dir, cpus: s.processors.server}, nil
}

// startLastseen loads a data set, starts `lastseen serve` on it with some more flags, and makes keys
// and credentials.
func (s *suite) startLastseen(ctx context.Context, name string, spec dataset.Spec, flags ...string) (*service, error) {
	if err := s.loadData(ctx, name, spec); err != nil {
		return nil, err
	}
	on, err := s.serve(ctx, name, flags...)
	if err != nil {
		return nil, err
	}
	if err := s.giveKeys(ctx, on, name, spec); err != nil {
		return nil, errors.Join(err, on.stop())
	}
	on.source = pollSource(on, poller{probes: true})
	return on, nil
}

// loadData fills a folder with a data set.
func (s *suite) loadData(ctx context.Context, name string, spec dataset.Spec) error {
	s.say("loading %d sessions of %d points for %s", spec.Sessions, spec.PointsPerSession, name)
	loader, err := s.runRival(name, rival.Config{Name: rival.Loader, DataDir: filepath.Join(s.dir, name, "data"), Dataset: spec})
	if err != nil {
		return err
	}
	return loader.run(ctx)
}

// serve starts `lastseen serve` on the data of a folder and waits until it is ready.
func (s *suite) serve(ctx context.Context, name string, flags ...string) (*service, error) {
	dir, err := s.folder(name)
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s.say("starting %s", name)
	args := []string{"serve", "--addr", address, "--data-dir", filepath.Join(dir, "data"), "--max-connections", fmt.Sprint(maxWaiters + 1000)}
	if 2*s.config.Connections > limit.CrowdPerProcessor*cmp.Or(len(s.processors.server), runtime.NumCPU()) {
		args = append(args, "--poll-wait", "0s") // so many are asked for, and some more poll beside them: not an overload
	}
	p, err := launch{name: name, path: s.config.Executable, dir: dir, cpus: s.processors.server, args: append(args, flags...)}.start()
	if err != nil {
		return nil, err
	}
	on := &service{
		name: "lastseen", label: "**lastseen**", host: address, processes: []*process{p},
		target: loadgen.Target{Address: address, Codec: loadgen.HTTP{}}, api: newAPI("http://" + address),
	}
	waiting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := p.awaitHTTP(waiting, on.api.base+"/readyz"); err != nil {
		return nil, errors.Join(err, on.stop())
	}
	return on, nil
}

// giveKeys fills a service's catalogue with keys and credentials, made by the public routes.
func (s *suite) giveKeys(ctx context.Context, on *service, name string, spec dataset.Spec) error {
	on.catalogue = catalogueOf(spec)
	s.say("making %d keys for each of %d organisations", s.config.KeysPerOrganisation, spec.Organisations)
	for organisation := range spec.Organisations {
		token, err := s.token(ctx, name, spec.OrgID(organisation))
		if err != nil {
			return err
		}
		on.api.tokens = append(on.api.tokens, token)
		for range s.config.KeysPerOrganisation {
			key, err := on.api.createKey(ctx, organisation)
			if err != nil {
				return fmt.Errorf("make an API key: %w", err)
			}
			on.catalogue.keys[organisation] = append(on.catalogue.keys[organisation], key.Key)
		}
		credential, err := on.api.createCredential(ctx, organisation)
		if err != nil {
			return fmt.Errorf("make a device credential: %w", err)
		}
		on.catalogue.writers[organisation] = credential.Key
	}
	return nil
}

// token has the local issuer sign a user token.
func (s *suite) token(ctx context.Context, name, org string) (string, error) {
	command := exec.CommandContext(ctx, s.config.Executable, "token", "--data-dir", filepath.Join(s.dir, name, "data"),
		"--org", org, "--user", "user_bench", "--role", "owner", "--ttl", "240h")
	command.Env = environment()
	text, err := command.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return "", fmt.Errorf("sign a user token: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// startRival starts what lastseen is compared with. Where it is not installed it returns why, and
// no service.
func (s *suite) startRival(ctx context.Context, name string, beside *service) (on *service, absent string, err error) {
	s.say("starting %s", name)
	switch name {
	case rival.Bare:
		on, err = s.startBare(ctx, beside)
	case "redis":
		return s.startRedis(ctx, beside)
	case rival.Postgres:
		return s.startPostgres(ctx, beside)
	case rival.Naive:
		on, err = s.startNaive(ctx, "naive", s.spec, beside)
	}
	return on, "", err
}

// startFront starts a rival that speaks HTTP and waits until it has loaded.
func (s *suite) startFront(ctx context.Context, folder, label string, config rival.Config, beside *service) (*service, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	config.Address = address
	start, err := s.runRival(folder, config)
	if err != nil {
		return nil, err
	}
	p, err := start.start()
	if err != nil {
		return nil, err
	}
	on := &service{
		name: config.Name, label: label, host: address, processes: []*process{p}, catalogue: beside.catalogue,
		target: loadgen.Target{Address: address, Codec: loadgen.HTTP{}},
	}
	on.source = pollSource(on, poller{})
	waiting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := p.awaitHTTP(waiting, "http://"+address+"/readyz"); err != nil {
		return nil, errors.Join(err, on.stop())
	}
	return on, nil
}

// startBare starts the bare server with an answer that it copies from lastseen.
func (s *suite) startBare(ctx context.Context, beside *service) (*service, error) {
	constant, err := beside.sample(ctx)
	if err != nil {
		return nil, fmt.Errorf("copy an answer for the bare server: %w", err)
	}
	on, err := s.startFront(ctx, "bare", "bare fasthttp, a constant", rival.Config{Name: rival.Bare, Constant: constant}, beside)
	if err != nil {
		return nil, err
	}
	templates := newPollTemplates(on.catalogue, on.host, "")
	on.source = func(d draws, start int) loadgen.Source {
		return &constantReader{poller{catalogue: on.catalogue, templates: templates, draws: d, at: start}, sampled}
	}
	return on, nil
}

// sampled is the session whose answer the bare server repeats.
const sampled = 0

// sample copies one answer of last_seen.
func (s *service) sample(ctx context.Context) (constant rival.Constant, err error) {
	address := fmt.Sprintf("%s%s?session_id=%s", s.api.base, pathLastSeen, s.catalogue.id(sampled))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return constant, err
	}
	request.Header.Set("Authorization", "Bearer "+s.catalogue.keys[s.catalogue.orgs[sampled]][0])
	response, err := s.api.client.Do(request)
	if err != nil {
		return constant, err
	}
	defer response.Body.Close()
	if constant.Body, err = io.ReadAll(response.Body); err != nil {
		return constant, err
	}
	if response.StatusCode != http.StatusOK {
		return constant, fmt.Errorf("status %s: %.300s", response.Status, constant.Body)
	}
	for name, values := range response.Header {
		switch name {
		case "Content-Type":
			constant.ContentType = values[0]
		case "Content-Length", "Date", "Server", "Connection", "Transfer-Encoding":
		default:
			constant.Headers = append(constant.Headers, name, values[0])
		}
	}
	return constant, nil
}

// startNaive starts the service of an afternoon, which is also the yardstick for ClickHouse itself.
func (s *suite) startNaive(ctx context.Context, folder string, spec dataset.Spec, beside *service) (*service, error) {
	on, err := s.startFront(ctx, folder, "ClickHouse asked each time", rival.Config{
		Name: rival.Naive, DataDir: filepath.Join(s.dir, folder, "data"), Dataset: spec, Keys: beside.catalogue.keys,
	}, beside)
	if err != nil {
		return nil, err
	}
	on.source = pollSource(on, poller{probes: true})
	response, err := http.Get("http://" + on.host + "/readyz")
	if err != nil {
		return nil, errors.Join(err, on.stop())
	}
	defer response.Body.Close()
	version, err := io.ReadAll(response.Body)
	on.version = "ClickHouse " + string(version)
	return on, err
}
