// Package trackfile reads positions out of the files in which people keep them. It streams: memory
// does not grow with the file (FIT files and zip archives need their directory, which is small), and a
// bad row does not stop the rows after it.
//
// A file's way in: unpack.go undoes compression and opens archives, charset.go makes the text UTF-8,
// detect.go says which format it is, or names the one that is not read, and one file a format makes
// records of it: csv.go (with delimiter.go), json.go (NDJSON, arrays, and objects that hold a list),
// geojson.go, gpx.go, kml.go, tcx.go (these with xml.go), nmea.go, plt.go, fit.go, owntracks.go,
// takeout.go and timeline.go. mapping.go, resolver.go and logger.go know which of a record's columns
// means what, and values.go and times.go turn their texts into a Fix.
package trackfile
