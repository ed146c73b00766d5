package format

import (
	"lastseen/query/wire"
	"lastseen/schema"
)

// csvHeader names the columns as ingest does, so that a table can be sent back as it is, and beside
// them what the service knows of a point. Parquet and Arrow have the same columns.
const csvHeader = "_id,session_id,timestamp,received_at_timestamp,latitude,longitude," +
	"altitude,accuracy,speed,heading,temperature,battery,outlier\n"

// csv is comma-separated values (RFC 4180) with line feeds. No value needs quotes.
var csv = Points{
	Begin: csvHeader,
	Point: appendCSV,
}

func appendCSV(dst []byte, p *schema.DataPoint, _ bool) []byte {
	dst = append(schema.AppendPointID(dst, p.SessionID, p.Timestamp), ',')
	dst = append(p.SessionID.AppendHex(dst), ',')
	dst = append(appendBareTime(dst, p.Timestamp), ',')
	dst = append(appendBareTime(dst, p.ReceivedAt), ',')
	dst = append(wire.AppendDecimal(dst, int64(p.Latitude), 7), ',')
	dst = append(wire.AppendDecimal(dst, int64(p.Longitude), 7), ',')
	dst = append(appendNumber(dst, int64(p.Altitude), schema.NoAltitude, 1), ',')
	dst = append(appendNumber(dst, int64(p.Accuracy), schema.NoAccuracy, 1), ',')
	dst = append(appendNumber(dst, int64(p.Speed), schema.NoSpeed, 2), ',')
	dst = append(appendNumber(dst, int64(p.Heading), schema.NoHeading, 1), ',')
	if wire.KnownTemperature(p) {
		dst = wire.AppendTemperature(dst, p.Temperature)
	}
	dst = append(dst, ',')
	dst = append(appendNumber(dst, int64(p.Battery), schema.NoBattery, 4), ',')
	if p.Outlier != schema.NotOutlier {
		return append(dst, "true\n"...)
	}
	return append(dst, "false\n"...)
}
