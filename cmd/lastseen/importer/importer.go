// Package importer sends the fixes of track files to a lastseen server: each device that a file names
// becomes a device with a session, and what was imported before is neither made nor stored again.
package importer

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"iter"
	"math"
	"time"

	"golang.org/x/sync/errgroup"
	"lastseen.example/client"

	"lastseen/cmd/lastseen/trackfile"
)

// Server is what the importer needs of a server; *client.Client is one. Its methods are called from
// several goroutines.
type Server interface {
	// Organisation returns the id of the caller's organisation.
	Organisation(ctx context.Context) (id string, err error)
	RegisterDevice(ctx context.Context, device client.Device) (id string, err error)
	EnsureSession(ctx context.Context, deviceID string, session client.NewSession) (id string, created bool, err error)
	Ingest(ctx context.Context, ndjson []byte) (client.IngestResult, error)
}

// Source is one file to import.
type Source struct {
	Name    string // for messages and, without its extensions, for devices without a name
	Open    func() (io.ReadCloser, error)
	Options trackfile.Options
}

// Options tune an import. Zero values mean the defaults.
type Options struct {
	// BatchPoints is the number of points in one request, 5,000 by default.
	BatchPoints int
	// InFlight is the number of requests at one time, 8 by default. A device's points are sent one
	// request after the other, in the order of the file.
	InFlight int
	// Reasons is how many rejected rows and points with the same fault the summary shows one by one, 20 by
	// default; the rest of them is summed up.
	Reasons int
	// KeptFor is how long the server keeps points; 0 means for ever, or that it does not say.
	KeptFor time.Duration
}

// queueLength bounds the fixes that wait for a lane.
const queueLength = 1024

// Import is one run over some files. Summary may be called while Run works.
type Import struct {
	server  Server
	options Options
	tally   tally
}

// New returns an import that has not begun.
func New(server Server, options Options) *Import {
	if options.BatchPoints <= 0 {
		options.BatchPoints = 5000
	}
	if options.InFlight <= 0 {
		options.InFlight = 8
	}
	if options.Reasons <= 0 {
		options.Reasons = 20
	}
	return &Import{server: server, options: options, tally: tally{keep: options.Reasons}}
}

// Run imports the files one after the other and returns when the server has answered for every point.
// A row that does not parse, a point that the server refuses and a file that cannot be read are counted
// and the rest goes on; an error means that the import stopped early, because the server could not be
// reached or refused the caller. Run is called once.
func (i *Import) Run(ctx context.Context, sources iter.Seq[Source]) error {
	group, ctx := errgroup.WithContext(ctx)
	queues := make([]chan item, i.options.InFlight)
	for n := range queues {
		queues[n] = make(chan item, queueLength)
		group.Go(func() error { return newLane(i).run(ctx, queues[n]) })
	}
	group.Go(func() error {
		defer func() {
			for _, queue := range queues {
				close(queue)
			}
		}()
		for source := range sources {
			if err := i.read(ctx, source, queues); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// item is a fix on its way to a lane, with the file that it comes from.
type item struct {
	file string
	fix  trackfile.Fix
}

var laneSeed = maphash.MakeSeed()

// read puts a file's fixes into the queues, each device always into the same one. Its error is the
// context's; what is wrong with the file goes into the tally.
func (i *Import) read(ctx context.Context, source Source, queues []chan item) error {
	in, err := source.Open()
	if err != nil {
		i.tally.fileFailed(fmt.Sprintf("%s: the file cannot be opened: %v", source.Name, withoutPath(err)))
		return nil
	}
	defer in.Close()
	options := source.Options
	options.Note = func(sentence string) { i.tally.note(fmt.Sprintf("%s: %s", source.Name, sentence)) }
	for fix, err := range trackfile.Read(in, source.Name, options) {
		var row *trackfile.RowError
		switch {
		case errors.As(err, &row):
			i.tally.read()
			i.tally.reject(source.Name, row.Place, row.Detail)
		case err != nil:
			i.tally.fileFailed(fmt.Sprintf("%s: %v", source.Name, withoutPath(err)))
		default:
			i.tally.read()
			if detail := i.implausible(&fix, time.Now()); detail != "" {
				i.tally.reject(source.Name, fix.Place, detail)
				continue
			}
			lane := maphash.String(laneSeed, fix.Session+"\x00"+fix.Device) % uint64(len(queues))
			select {
			case queues[lane] <- item{file: source.Name, fix: fix}:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// implausible is what the server says of a fix that it cannot take, or "". It is said here already, so that no
// device and no session is made for a file of which nothing can be stored.
func (i *Import) implausible(fix *trackfile.Fix, now time.Time) string {
	switch at := time.UnixMilli(fix.Timestamp); {
	case math.Abs(fix.Latitude) > 90:
		return fmt.Sprintf("the latitude %v is not from -90 to 90", fix.Latitude)
	case math.Abs(fix.Longitude) > 180:
		return fmt.Sprintf("the longitude %v is not from -180 to 180", fix.Longitude)
	case at.Year() < 2000:
		return fmt.Sprintf("the timestamp %s lies before the year 2000", at.UTC().Format(time.RFC3339))
	case i.options.KeptFor > 0 && at.Before(now.Add(-i.options.KeptFor-mostAhead)):
		return fmt.Sprintf("the timestamp %s lies further back than the %d days for which the server keeps points", at.UTC().Format(time.RFC3339), i.options.KeptFor/(24*time.Hour))
	case at.After(now.Add(mostAhead)):
		return fmt.Sprintf("the timestamp %s lies in the future", at.UTC().Format(time.RFC3339))
	}
	return ""
}

// mostAhead is how far ahead of this machine's clock a time may be, or past the time that points are kept, for the server
// to be asked about it, whose clock is the one that counts.
const mostAhead = time.Hour

// withoutPath leaves out the path that a message names already.
func withoutPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// Summary returns what has become of the points so far. It is safe for concurrent use.
func (i *Import) Summary() Summary {
	return i.tally.summary()
}
