package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/kong"
	"lastseen.example/client"

	"lastseen/cmd/lastseen/terminal"
	"lastseen/server"
)

// commandLine is everything that can be typed. Every flag has an environment variable: LASTSEEN_ and
// the flag's name.
type commandLine struct {
	Serve       serveCommand       `cmd:"" help:"Run the service."`
	Demo        demoCommand        `cmd:"" help:"Run the service with a simulated fleet, and print an API key and what to try."`
	Token       tokenCommand       `cmd:"" help:"Print a user token of the local issuer. Works while the service runs."`
	Login       loginCommand       `cmd:"" help:"Print a link that signs a browser in to the console, once. Works while the service runs."`
	Keys        keysCommand        `cmd:"" help:"Create, list, rotate and revoke API keys."`
	Credentials credentialsCommand `cmd:"" help:"Create, list, rotate and revoke device credentials, with which devices and apps send points."`
	Nodes       nodesCommand       `cmd:"" help:"Print the nodes of a service of several, as one of them sees them."`
	Import      importCommand      `cmd:"" help:"Import positions from files of many formats: CSV, NDJSON, JSON, GPX, GeoJSON, KML, TCX, FIT, NMEA and more."`
	Export      exportCommand      `cmd:"" help:"Export the histories of sessions to files, many at a time; goes on after a kill."`
	Backup      backupCommand      `cmd:"" help:"Back up the data, also while the service runs."`
	Restore     restoreCommand     `cmd:"" help:"Make a data directory, or tables on a ClickHouse server, of a backup."`
	ClickHouse  clickhouseCommand  `cmd:"" name:"clickhouse" help:"Run the data directory as a ClickHouse server, for any ClickHouse client or for serve --clickhouse."`
	Doctor      doctorCommand      `cmd:"" help:"Look at a service and its store, running or not, and say what must be mended."`
	OpenAPI     openAPICommand     `cmd:"" name:"openapi" help:"Print the OpenAPI document of the API, as the service has it at /openapi.json."`
	Bench       benchCommand       `cmd:"" help:"Run the load suite."`
	ConfigFile  configCommand      `cmd:"" name:"config" help:"Check the configuration."`
	Licenses    licensesCommand    `cmd:"" help:"Print the licences of everything that is part of this program or comes with it."`
	Config      kong.ConfigFlag    `placeholder:"FILE" help:"File with flags, a line each, such as addr = \"127.0.0.1:8080\"; the command line and the environment go before it."`
	Version     kong.VersionFlag   `env:"-" help:"Print the version and exit."`
}

// serverFlags say which server to talk to, and as whom.
type serverFlags struct {
	Server    string `default:"http://127.0.0.1:8080" placeholder:"URL" help:"Address of the lastseen server (default ${default})."`
	Token     string `placeholder:"TOKEN" help:"User token, as 'lastseen token' prints it. Whoever can list this machine's processes can read it here: prefer the environment variable or --token-file."`
	TokenFile string `placeholder:"FILE" help:"File that holds the user token; it goes before --token."`
}

// client returns a client for the server. The caller closes it.
func (f *serverFlags) client(std streams) (*client.Client, error) {
	token, err := f.token()
	if err != nil {
		return nil, err
	}
	if token == "" {
		return nil, errors.New("a user token is needed: set LASTSEEN_TOKEN to what 'lastseen token' prints, or give --token-file")
	}
	return newClient(f.Server, token, std)
}

// token returns the user token, empty where none was given.
func (f *serverFlags) token() (string, error) {
	token := f.Token
	if f.TokenFile != "" {
		text, err := os.ReadFile(f.TokenFile)
		if err != nil {
			return "", fmt.Errorf("read the user token: %w", err)
		}
		token = string(text)
	}
	return strings.TrimSpace(token), nil
}

// newClient returns a client that says when a server does not answer as it should and is asked again.
func newClient(address, credential string, std streams) (*client.Client, error) {
	server, err := client.New(address, credential)
	if err != nil {
		return nil, err
	}
	server.OnRetry(retryNotice(std.err, "for some seconds"))
	return server, nil
}

// sentence is what a command's error is shown as.
func sentence(err error) string {
	text := err.Error()
	if client.HasStatus(err, http.StatusUnauthorized) {
		text += " (What was sent is the token or key that this command's flags or environment give.)"
	}
	return text
}

// retryNotice says what has failed and is tried again, but the same thing not over and over: many requests
// may fail at once. how long it is tried again ends the sentence.
func retryNotice(w io.Writer, howLong string) func(error) {
	const pause = 30 * time.Second
	var (
		mu   sync.Mutex
		said = map[string]time.Time{}
	)
	return func(err error) {
		mu.Lock()
		defer mu.Unlock()
		text := strings.TrimSuffix(err.Error(), ".")
		if now := time.Now(); now.Sub(said[text]) > pause {
			if len(said) > 100 {
				clear(said)
			}
			said[text] = now
			terminal.Say(w, "lastseen: %s; trying again %s (Ctrl-C stops)", text, howLong)
		}
	}
}

// openAPICommand prints the description of the API.
type openAPICommand struct{}

// Run implements the command.
func (c *openAPICommand) Run(std streams) error {
	_, err := std.out.Write(server.Description())
	return err
}
