package trackfile

import "slices"

// logger is a well-known program or service whose columns mean something of their own, mostly in a unit
// that the column's name does not say.
type logger struct {
	// header are the plain names of columns that a table of the logger's always has; empty when the
	// logger is not known by a table's header.
	header  []string
	columns map[string]loggerColumn // by the plain name
	utc     bool                    // times without a zone are UTC, as the logger's documentation says
}

// loggerColumn is what a logger's column holds.
type loggerColumn struct {
	field       field
	unit        *unit // nil: the field's own
	zeroUnknown bool  // 0 says "unknown"
	ignored     bool  // the name means something else here than elsewhere
}

func unitOf(units map[string]unit, name string) *unit {
	u := units[name]
	return &u
}

// The loggers. Each says where its columns are described.
var (
	// gpsLogger is GPSLogger for Android's CSV file (mendhak/gpslogger, CSVFileLogger). Its battery is in
	// percent; time has milliseconds, so the other times are left alone.
	gpsLogger = &logger{
		header: []string{"time", "lat", "lon", "elevation", "accuracy", "bearing", "speed", "satellites", "provider"},
		columns: map[string]loggerColumn{
			"battery": {field: fieldBattery, unit: unitOf(levels, "%")}, "timestamp_ms": {field: fieldTimestamp, ignored: true},
		},
	}
	// ownTracks is a location message of OwnTracks (owntracks.org/booklet, JSON).
	ownTracks = &logger{
		columns: map[string]loggerColumn{
			"tst": {field: fieldTimestamp, unit: unitOf(times, "s")}, "acc": {field: fieldAccuracy, zeroUnknown: true},
			"vel": {field: fieldSpeed, unit: unitOf(speeds, "km/h")}, "cog": {field: fieldHeading},
			"batt": {field: fieldBattery, unit: unitOf(levels, "%")}, "t": {ignored: true}, "p": {ignored: true},
		},
	}
	// traccar is a position of a Traccar server's, as its API and its reports write it: speed in knots.
	traccar = &logger{
		header: []string{"fixtime", "devicetime", "servertime", "latitude", "longitude", "speed", "course"},
		columns: map[string]loggerColumn{
			"speed": {field: fieldSpeed, unit: unitOf(speeds, "kn")}, "accuracy": {field: fieldAccuracy, zeroUnknown: true},
		},
	}
	// overland is a location of Overland's (aaronpk/Overland-iOS), which has its names in a Feature's properties.
	overland = &logger{columns: map[string]loggerColumn{"battery_level": {field: fieldBattery}}}
	// marineCadastre is the U.S. Coast Guard's AIS data: UTC without saying it, speed over ground in knots;
	// the heading is the bow's, the course over ground is where the ship goes.
	marineCadastre = &logger{
		header: []string{"mmsi", "basedatetime", "lat", "lon", "sog", "cog"}, utc: true,
		columns: map[string]loggerColumn{
			"sog": {field: fieldSpeed, unit: unitOf(speeds, "kn")}, "cog": {field: fieldHeading}, "heading": {ignored: true},
		},
	}
	// movebank is Movebank's table of animals' positions (movebank.org, attribute dictionary): times are UTC.
	movebank = &logger{header: []string{"event_id", "timestamp", "location_long", "location_lat", "individual_local_identifier"}, utc: true}
	// osmAnd is OsmAnd's GPX: what it calls hdop is Android's accuracy in metres.
	osmAnd = &logger{columns: map[string]loggerColumn{"hdop": {field: fieldAccuracy, zeroUnknown: true}}}
)

// loggerOf recognises a table by its header, and returns nil for one that nobody is known by.
func loggerOf(columns []string) *logger {
	plain := make([]string, len(columns))
	for i, column := range columns {
		plain[i] = plainName(column)
	}
	for _, l := range []*logger{gpsLogger, traccar, marineCadastre, movebank} {
		if !slices.ContainsFunc(l.header, func(name string) bool { return !slices.Contains(plain, name) }) {
			return l
		}
	}
	return nil
}
