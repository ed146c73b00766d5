package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
	_ "time/tzdata" // so that --time-zone knows every zone on every machine

	"lastseen.example/client"

	"lastseen/cmd/lastseen/importer"
	"lastseen/cmd/lastseen/terminal"
	"lastseen/cmd/lastseen/trackfile"
)

// importCommand sends the positions of files to a server.
type importCommand struct {
	serverFlags
	Files        []string `arg:"" name:"FILE" help:"Files to import, also compressed with gzip, zstd or bzip2 or in a zip archive; - for standard input."`
	Format       string   `default:"auto" enum:"auto,csv,fit,geojson,gpx,json,kml,ndjson,nmea,owntracks,plt,tcx" placeholder:"FORMAT" help:"Format of the files: ${enum}; auto goes by how each file begins, then by its name (default ${default})."`
	Encoding     string   `placeholder:"NAME" help:"Character set of texts that do not say theirs and are not UTF-8, such as windows-1252."`
	DecimalComma bool     `help:"Numbers in tables have a comma as their decimal mark."`
	TimeZone     string   `placeholder:"ZONE" help:"Time zone of times that do not say theirs: UTC, a name such as Europe/Berlin, or an offset such as +02:00."`
	Map          []string `sep:"none" placeholder:"FIELD=COLUMN[:UNIT]" help:"Column that holds a field, and its unit; may be given several times. Fields and units: timestamp (s, ms, us, ns), latitude and longitude (degrees), altitude and accuracy (m, ft, km), speed (m/s, km/h, mph, kn), heading (degrees), temperature (C, F), battery (1, %), device, session. The first unit is what is taken when none is given; a timestamp also by its magnitude. An empty COLUMN leaves a field out. Columns of a table without a header are called 1, 2, 3 and so on."`
	Device       string   `placeholder:"NAME" help:"Device of points whose row names none; by default the name of the track or of the file."`
	NewSessions  bool     `help:"Points that name a session by its id go to a new session, of a device that is called by that id: for what 'lastseen export' has written of another service."`
	BatchPoints  int      `default:"5000" help:"Points in one request (default ${default})."`
	InFlight     int      `default:"8" help:"Requests at the same time; those of one device come one after the other (default ${default})."`
	AllowRejects bool     `help:"Exit with 0 also when rows or points were rejected; not when a file could not be read."`

	mapping trackfile.Mapping
	zone    *time.Location
	bytes   atomic.Int64 // read so far, of all files
}

// Validate refuses mappings and numbers that do not make sense, as mistakes on the command line.
func (c *importCommand) Validate() (err error) {
	if c.BatchPoints < 1 || c.BatchPoints > 100_000 || c.InFlight < 1 || c.InFlight > 64 {
		return errors.New("--batch-points must be 1 to 100000 and --in-flight 1 to 64")
	}
	columns := c.Map
	if c.NewSessions {
		columns = append([]string{"session=", "device=session_id"}, columns...)
	}
	if c.Encoding != "" {
		if err := trackfile.CheckEncoding(c.Encoding); err != nil {
			return fmt.Errorf("--encoding: %w", err)
		}
	}
	if c.TimeZone != "" {
		if c.zone, err = trackfile.ParseZone(c.TimeZone); err != nil {
			return fmt.Errorf("--time-zone: %w", err)
		}
	}
	c.mapping, err = trackfile.ParseMapping(columns)
	return err
}

// Run implements the command.
func (c *importCommand) Run(ctx context.Context, std streams) error {
	server, err := c.client(std)
	if err != nil {
		return err
	}
	defer server.Close()
	kept, err := server.KeptFor(ctx)
	if err != nil {
		return err
	}
	run := importer.New(server, importer.Options{BatchPoints: c.BatchPoints, InFlight: c.InFlight, KeptFor: kept})
	total := totalSize(c.Files)
	finish := showProgress(std.err, "import", true, func() progressState {
		sum := run.Summary()
		return progressState{done: c.bytes.Load(), total: total, text: fmt.Sprintf("%d points read, %d accepted", sum.Read, sum.Accepted)}
	})
	err = run.Run(ctx, c.sources(std.in))
	finish()
	sum := run.Summary()
	c.report(std, &sum)
	switch {
	case ctx.Err() != nil:
		return errors.New("the import was interrupted: run it again, for what is stored already does no harm")
	case err != nil:
		return fmt.Errorf("the import stopped early, and once this is put right it can be run again: %w", err)
	}
	if n := len(sum.FilesFailed); n > 0 {
		return fmt.Errorf("%d of %d files could not be read to their end, for the reason above each: correct them and import them again", n, len(c.Files))
	}
	if !sum.Complete() && !c.AllowRejects {
		return fmt.Errorf("%d rows or points were rejected, for the reasons above: correct them, or accept that with --allow-rejects", sum.Rejected)
	}
	c.sayWhatNext(std, server, &sum)
	return nil
}

// sayWhatNext shows how to look at what was imported.
func (c *importCommand) sayWhatNext(std streams, server *client.Client, sum *importer.Summary) {
	if sum.FirstSession == "" {
		return
	}
	which := "the session"
	if sum.Sessions > 1 {
		which = fmt.Sprintf("one of the %d sessions", sum.Sessions)
	}
	token := "$LASTSEEN_TOKEN"
	if c.TokenFile != "" {
		token = "$(cat " + shellQuoted(c.TokenFile) + ")"
	}
	address := server.URL("/tracking/timeseries/session_by_device/last_seen/v1", url.Values{"session_id": {sum.FirstSession}})
	terminal.Say(std.err, "%s is %s; where it was last seen:\n  curl -s -H \"Authorization: Bearer %s\" %s",
		which, terminal.Printable(sum.FirstSession), token, shellQuoted(address))
}

// shellQuoted is a word for a shell to read.
func shellQuoted(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func (c *importCommand) report(std streams, sum *importer.Summary) {
	for _, sentences := range [][]string{sum.Notes, sum.FilesFailed, sum.Reasons} {
		for _, sentence := range sentences {
			fmt.Fprintln(std.err, terminal.Printable(sentence))
		}
	}
	for _, refusal := range sum.Refused[:min(len(sum.Refused), maxRefusals)] {
		fmt.Fprintln(std.err, terminal.Printable(refusalText(refusal)))
	}
	if more := len(sum.Refused) - maxRefusals; more > 0 {
		fmt.Fprintf(std.err, "and %d more devices like these\n", more)
	}
	failed := ""
	if n := len(sum.FilesFailed); n > 0 {
		failed = fmt.Sprintf("; %d of %d files failed", n, len(c.Files))
	}
	fmt.Fprintf(std.out, "%d points read: %d accepted%s, %d rejected; %d sessions, %d of them new%s\n",
		sum.Read, sum.Accepted, ofThem(sum), sum.Rejected, sum.Sessions, sum.SessionsCreated, failed)
}

// ofThem says what else happened to the points that were accepted.
func ofThem(sum *importer.Summary) string {
	var parts []string
	if sum.Replaced > 0 {
		parts = append(parts, fmt.Sprintf("%d stored, %d replaced others of the same session and timestamp", sum.Accepted-sum.Replaced, sum.Replaced))
	}
	if sum.Dropped > 0 {
		parts = append(parts, fmt.Sprintf("%d optional values left out, as they were out of range or unknown", sum.Dropped))
	}
	if parts == nil {
		return ""
	}
	return " (" + strings.Join(parts, "; ") + ")"
}

// maxRefusals bounds the refused devices that are named.
const maxRefusals = 100

// refusalText says which device the server refuses, why, and what to do.
func refusalText(r importer.Refusal) string {
	points := fmt.Sprintf("its %d points are not imported", r.Points)
	if r.Points == 1 {
		points = "its point is not imported"
	}
	if !r.Taken {
		return fmt.Sprintf("%s: %s; %s", r.Where, r.Reason, points)
	}
	return fmt.Sprintf("%s: the address of the device %q belongs to another organisation, so %s: import this device as that organisation, "+
		"or, from a file of its own, under another name with --map device= --device NAME", r.Where, r.Device, points)
}

// sources are the files of the command line. Their bytes are counted as they are read.
func (c *importCommand) sources(stdin io.Reader) iter.Seq[importer.Source] {
	options := trackfile.Options{
		Format: trackfile.Format(c.Format), Mapping: c.mapping, Device: c.Device,
		Encoding: c.Encoding, DecimalComma: c.DecimalComma, TimeZone: c.zone,
	}
	return func(yield func(importer.Source) bool) {
		for _, name := range c.Files {
			source := importer.Source{Name: name, Options: options, Open: func() (io.ReadCloser, error) {
				if name == "-" {
					return counted{io.NopCloser(stdin), &c.bytes}, nil
				}
				file, err := os.Open(name)
				if err != nil {
					return nil, err
				}
				return countedFile{file, &c.bytes}, nil
			}}
			if name == "-" {
				source.Name = "stdin"
			}
			if !yield(source) {
				return
			}
		}
	}
}

// counted counts what is read.
type counted struct {
	io.ReadCloser
	bytes *atomic.Int64
}

// Read implements io.Reader.
func (c counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

// countedFile is counted for a file, whose parts can be read in any order, as those of an archive are.
type countedFile struct {
	*os.File
	bytes *atomic.Int64
}

// Read implements io.Reader.
func (c countedFile) Read(p []byte) (int, error) {
	n, err := c.File.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

// ReadAt implements io.ReaderAt.
func (c countedFile) ReadAt(p []byte, offset int64) (int, error) {
	n, err := c.File.ReadAt(p, offset)
	c.bytes.Add(int64(n))
	return n, err
}

// totalSize returns the bytes of all files that are there, or 0 when that is not known.
func totalSize(names []string) (total int64) {
	for _, name := range names {
		info, err := os.Stat(name)
		switch {
		case name == "-" || err == nil && !info.Mode().IsRegular():
			return 0
		case err == nil:
			total += info.Size()
		}
	}
	return total
}
