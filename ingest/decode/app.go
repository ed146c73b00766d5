package decode

import (
	"encoding/json"
	"time"

	"lastseen/ingest/registry"
	"lastseen/schema"
)

// App is a program whose messages are taken as it sends them. Its name is that of its route.
type App string

// The apps.
const (
	OwnTracks     App = "owntracks"
	Overland      App = "overland"
	OsmAnd        App = "osmand"
	TraccarClient App = "traccar_client"
	GPSLogger     App = "gpslogger"
	Traccar       App = "traccar" // a Traccar server that forwards positions
)

// Message is one request of an app's, as far as it says something about positions.
type Message struct {
	Body []byte // JSON, or a form; which of them is seen by the body and the app, for content types are often wrong
	// Parameter returns a parameter of the address, and "" for what is not there.
	Parameter func(name string) string
	// User and Device are what OwnTracks says beside its message, or empty.
	User, Device string
	// Bound is the one device that the caller's credential is for, whatever the message names; zero for
	// none.
	Bound schema.ID
	Now   time.Time // of the message's arrival
}

// Reply is what an app takes for "stored".
type Reply uint8

// The replies.
const (
	ReplyEmpty Reply = iota // any 2xx
	ReplyArray              // an empty JSON array
	ReplyOK                 // a JSON object whose result is "ok"
)

// readers read each app's messages, and know what it wants to hear.
var readers = map[App]struct {
	read  func(*appReader) error
	reply Reply
}{
	OwnTracks:     {readOwnTracks, ReplyArray},
	Overland:      {readOverland, ReplyOK},
	OsmAnd:        {readOsmAnd, ReplyEmpty},
	TraccarClient: {readTraccarClient, ReplyEmpty},
	GPSLogger:     {readGPSLogger, ReplyEmpty},
	Traccar:       {readForwarded, ReplyEmpty},
}

// AppMessage reads the positions of an app's message. A message that is no position gives none; a
// position that cannot be is in the Batch as a rejection; an optional value that is out of its range is
// left out. The reply is what the app is to be told once the points are stored.
//
// It fails with a schema.Invalid when the message cannot be read at all, with schema.TooLarge past
// MaxPoints, and with schema.Busy when the budget is used up. The caller passes the Batch to
// Writer.Ingest, or releases it.
func AppMessage(app App, message *Message, budget *Budget) (*Batch, Reply, error) {
	with := readers[app]
	r := &appReader{message: message, batch: newBatch(budget), reply: with.reply}
	if err := with.read(r); err != nil {
		r.batch.Release()
		return nil, 0, err
	}
	return r.batch, r.reply, nil
}

// appReader reads one message.
type appReader struct {
	message *Message
	batch   *Batch
	reply   Reply
	count   int // positions so far, good and bad
	name    string
	ref     registry.Reference // of name
}

// errAppJSON says that a body is not what the app sends.
var errAppJSON = schema.Invalid.Say("The body is not the JSON that this app sends: check that the address is the one for your app.")

// errAppForm says that a body is no form.
var errAppForm = schema.Invalid.Say("The form cannot be read: check what the app sends.")

// decodeJSON reads the body.
func (r *appReader) decodeJSON(into any) error {
	if json.Unmarshal(r.message.Body, into) != nil {
		return errAppJSON
	}
	return nil
}

const (
	detailNoName     = "The message names no device: give the app a device's name, or use a credential that is made for one device."
	detailAppTime    = "The position has no time that can be read."
	detailAppPlace   = "The position has no latitude from -90 to 90 and longitude from -180 to 180."
	detailNullIsland = "The position is 0/0, which says that the app knew none."
)

// add puts a position into the batch, or says why not.
func (r *appReader) add(p *position) error {
	if r.count == MaxPoints {
		return schema.TooLarge
	}
	index := r.count
	r.count++
	if detail := r.nameDevice(p.device); detail != "" {
		return r.batch.reject(index, detail)
	}
	point, detail := p.point(r.message.Now.UnixMilli(), r.batch)
	if detail != "" {
		return r.batch.reject(index, detail)
	}
	if r.ref.HasMAC && r.batch.Names[string(r.ref.MAC)] == "" && len(r.batch.Names) < maxNames {
		if r.batch.Names == nil {
			r.batch.Names = map[string]string{}
		}
		r.batch.Names[string(r.ref.MAC)] = r.name
	}
	return r.batch.add(index, &point, &r.ref)
}

// maxNames bounds the devices of one message whose names are kept, for those that nobody knows yet.
const maxNames = 100

// nameDevice makes ref the device of a name. A credential that is for one device decides, and what the
// message names besides must not be another one.
func (r *appReader) nameDevice(name string) string {
	if name == r.name && (r.ref.HasMAC || r.ref.HasDevice) {
		return ""
	}
	r.name = name
	bound := r.message.Bound != (schema.ID{})
	r.ref = registry.Reference{Device: r.message.Bound, HasDevice: bound, MAC: r.ref.MAC[:0], Loose: bound}
	if name != "" {
		r.ref.MAC, r.ref.HasMAC = registry.AppendMACIdentity(r.ref.MAC, registry.AddressOf(name))
	}
	if !r.ref.HasMAC && !bound {
		return detailNoName
	}
	return ""
}
