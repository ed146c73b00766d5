package trackfile

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/muktihari/fit/decoder"
	"github.com/muktihari/fit/profile/basetype"
	"github.com/muktihari/fit/profile/mesgdef"
	"github.com/muktihari/fit/profile/untyped/mesgnum"
	"github.com/muktihari/fit/proto"
)

// fitListener turns a FIT file's record messages into fixes while they are decoded.
type fitListener struct {
	file             *file
	messages, placed int
	unplaced         int
}

// OnMesg implements decoder.MesgListener.
func (l *fitListener) OnMesg(message proto.Message) {
	if message.Num != mesgnum.Record || l.file.stopped {
		return
	}
	l.messages++
	m := mesgdef.NewRecord(&message)
	if m.PositionLat == basetype.Sint32Invalid || m.PositionLong == basetype.Sint32Invalid {
		l.unplaced++
		return
	}
	l.placed++
	rec := record{place: Place{Line: l.messages}}
	if !m.Timestamp.IsZero() {
		rec.add("timestamp", m.Timestamp.UTC().Format(time.RFC3339))
	}
	number := func(name string, value float64) {
		if !math.IsNaN(value) && !math.IsInf(value, 0) {
			rec.add(name, strconv.FormatFloat(value, 'f', -1, 64))
		}
	}
	number("latitude", m.PositionLatDegrees())
	number("longitude", m.PositionLongDegrees())
	number("altitude", either(m.EnhancedAltitudeScaled(), m.AltitudeScaled()))
	number("speed", either(m.EnhancedSpeedScaled(), m.SpeedScaled()))
	if m.GpsAccuracy != basetype.Uint8Invalid {
		number("accuracy", float64(m.GpsAccuracy))
	}
	if m.Temperature != basetype.Sint8Invalid {
		number("temperature", float64(m.Temperature))
	}
	l.file.emit(&rec)
}

// either is the first of two numbers that is known.
func either(a, b float64) float64 {
	if !math.IsNaN(a) {
		return a
	}
	return b
}

// readFIT yields the records of a FIT file, as sports watches and bicycle computers write it. Records
// without a position are left out. Lines of such a file are its records.
func (f *file) readFIT(in *bufio.Reader) error {
	listener := &fitListener{file: f}
	d := decoder.New(in, decoder.WithMesgListener(listener), decoder.WithBroadcastOnly())
	for d.Next() && !f.stopped {
		if _, err := d.Decode(); err != nil {
			return fmt.Errorf("after record %d the file is not FIT, and nothing more was read: %w", listener.messages, err)
		}
	}
	switch {
	case f.stopped:
		return nil
	case listener.placed == 0:
		return errors.New("the FIT file has no records with a position")
	case listener.unplaced > 0:
		f.note("%d records have no position and are left out", listener.unplaced)
	}
	return nil
}
