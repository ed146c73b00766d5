package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"lastseen.example/client"

	"lastseen/cmd/lastseen/fleet"
	"lastseen/cmd/lastseen/terminal"
	"lastseen/keys"
	"lastseen/keys/people"
	"lastseen/schema"
)

// demoCommand runs the service with a simulated fleet that reports to it over HTTP.
type demoCommand struct {
	serviceFlags
	DataDir   string        `env:"LASTSEEN_DEMO_DATA_DIR" default:"lastseen-demo-data" placeholder:"DIR" help:"The demo's own data directory; a second run goes on with what it holds (default ${default})."`
	Vehicles  int           `default:"25" help:"How many vehicles drive (default ${default})."`
	Past      time.Duration `default:"6h" placeholder:"DURATION" help:"How far back the vehicles' history goes (default ${default})."`
	LogLevel  slog.Level    `default:"warn" placeholder:"LEVEL" help:"Least level that is logged: debug, info, warn or error (default ${default})."`
	AccessLog string        `default:"errors" enum:"usual,all,errors,off" help:"Which requests are logged, from level info: usual, all, errors or off (default ${default})."`
}

const (
	demoOrg       = "org_demo"
	demoUser      = "user_demo"
	demoKeyDays   = 7
	demoLinkLife  = time.Hour           // of the link to the console
	demoTokenLife = 30 * 24 * time.Hour // of the fleet's own token
)

// Validate refuses a fleet that makes no sense.
func (c *demoCommand) Validate() error {
	if c.Vehicles < 1 || c.Vehicles > 2000 || c.Past < 0 || c.Past > 30*24*time.Hour {
		return fmt.Errorf("--vehicles must be 1 to 2000 and --past 0 to 720h")
	}
	return c.serviceFlags.Validate()
}

// Run implements the command.
func (c *demoCommand) Run(ctx context.Context, std streams) (err error) {
	log := terminal.NewLogger(std.err, c.LogLevel)
	config, err := c.config(log, c.AccessLog, schema.Options{ClickHouse: schema.Embedded, DataDir: c.DataDir})
	if err != nil {
		return err
	}
	say := func(what string) { terminal.Say(std.err, "lastseen demo: %s", what) }
	say("starting the service")
	defer func() {
		if err == nil {
			say("stopped; the next run goes on with what it has")
		}
	}()
	app, err := StartApp(ctx, config)
	if err != nil {
		return startFailed(ctx, err)
	}
	stopFleet, err := c.startFleet(ctx, std, app)
	if err != nil {
		if stopErr := app.Stop(context.WithoutCancel(ctx)); stopErr != nil {
			log.Error("stop after a failed start", "error", stopErr)
		}
		return startFailed(ctx, err)
	}
	return app.serveUntil(ctx, func() {
		say("stopping")
		stopFleet()
	})
}

// startFleet gives the fleet its past, prints what to try, and sets it driving until the returned
// function is called.
func (c *demoCommand) startFleet(ctx context.Context, std streams, app *App) (stop func(), err error) {
	issuer, err := openIssuer(c.DataDir)
	if err != nil {
		return nil, err
	}
	token, err := issuer.Sign(people.User{ID: demoUser, OrgID: demoOrg, Role: keys.RoleOwner}, demoTokenLife)
	if err != nil {
		return nil, err
	}
	base := app.base()
	server, err := client.New(base, token)
	if err != nil {
		return nil, err
	}
	vehicles, err := fleet.New(ctx, server, server, fleet.Options{Vehicles: c.Vehicles, Past: c.Past, Log: app.config.log})
	if err != nil {
		return nil, err
	}
	if err := backfill(ctx, std, vehicles); err != nil {
		return nil, err
	}
	key, err := server.CreateKey(ctx, client.NewKey{Name: "demo " + time.Now().UTC().Format(time.DateTime), ExpiresAt: time.Now().AddDate(0, 0, demoKeyDays)})
	if err != nil {
		return nil, err
	}
	link, err := signInLink(issuer, base, people.Person{UserID: demoUser, Memberships: []people.Membership{{OrgID: demoOrg, Role: keys.RoleOwner}}}, demoLinkLife)
	if err != nil {
		return nil, err
	}
	c.printGuide(std, base, key.Key, link, vehicles.KeepMoving())
	driving, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		vehicles.Drive(driving)
	}()
	return func() {
		cancel()
		<-done
		server.Close()
	}, nil
}

func backfill(ctx context.Context, std streams, vehicles *fleet.Fleet) error {
	var done atomic.Int64
	total := len(vehicles.Vehicles())
	began := time.Now()
	finish := showProgress(std.err, "lastseen demo", false, func() progressState {
		return progressState{done: done.Load(), total: int64(total), text: "sending the vehicles' past"}
	})
	points, err := vehicles.Backfill(ctx, func() { done.Add(1) })
	finish()
	if err != nil {
		return err
	}
	fmt.Fprintf(std.err, "lastseen demo: sent %d points of the past in %s\n", points, time.Since(began).Round(100*time.Millisecond))
	return nil
}

// printGuide prints the key, the link to the console and what to try.
func (c *demoCommand) printGuide(std streams, base, key, link string, first fleet.Vehicle) {
	dir, err := filepath.Abs(c.DataDir)
	if err != nil {
		dir = c.DataDir
	}
	now := time.Now().UTC()
	start, end := now.Add(-c.Past).Format("2006-01-02T15:04:00Z"), now.AddDate(0, 0, 1).Format("2006-01-02T15:04:00Z")
	curl := func(what, path string) {
		fmt.Fprintf(std.out, "\n# %s\ncurl -s -H 'Authorization: Bearer %s' '%s%s'\n", what, key, base, path)
	}
	fmt.Fprintf(std.out, `
%d vehicles are driving through Midtown Manhattan and report to %s.

  API key  %s
           (for reading, organisation %s, good for %d days)
  console  %s
           (opens on the map; signs you in once, within an hour; later: %s login --data-dir '%s' --server %s --org %s --user %s --role owner)
  data     %s
           (the next run goes on with it; delete it to begin anew)

Try these in another terminal:
`, c.Vehicles, base, key, demoOrg, demoKeyDays, link, os.Args[0], dir, base, demoOrg, demoUser, dir)
	const points = "/tracking/timeseries/session_by_device/"
	curl("where "+first.Name+" was last seen; again in a few seconds it has moved on",
		points+"last_seen/v1?session_id="+first.SessionID)
	curl("its way, a point every ten minutes, and where it stopped",
		points+"data_points/v1?session_id="+first.SessionID+"&start_timestamp="+start+"&end_timestamp="+end+"&bucket_seconds=600")
	curl("the three sessions that were seen last", "/tracking/sessions/list/v1?sort_by=last_seen_at_timestamp&page_size=3")
	curl("one session", "/tracking/sessions/get/v1?session_id="+first.SessionID)
	curl("what begins with van-0, while somebody types it", "/tracking/sessions/typeahead/v1?query=van-0")
	fmt.Fprintf(std.out, `
Next: your own data, with a token of your own:

  export LASTSEEN_SERVER=%s
  export LASTSEEN_TOKEN=$(%s token --data-dir '%s' --org org_yours --user user_you --role owner)
  %[2]s import your-tracks.csv      # or .json, .gpx, .geojson, .kml, .fit, .nmea and more, each also .gz or in a .zip
  %[2]s keys create --name "my first key"

Press Ctrl-C to stop.
`, base, os.Args[0], dir)
}
