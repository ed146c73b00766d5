package history

import (
	"lastseen/query/history/stays"
	"lastseen/query/wire"
)

// appendCluster appends the JSON of a stationary cluster.
func appendCluster(dst []byte, c *stays.Stay) []byte {
	dst = append(dst, `{"centroid_location":{"type":"Feature","geometry":{"type":"Point","coordinates":[`...)
	dst = wire.AppendFloat(dst, c.Longitude, 64)
	dst = append(dst, ',')
	dst = wire.AppendFloat(dst, c.Latitude, 64)
	dst = append(dst, `]},"properties":{}},"start_timestamp":`...)
	dst = wire.AppendTime(dst, c.Start)
	dst = append(dst, `,"end_timestamp":`...)
	dst = wire.AppendTime(dst, c.End)
	dst = append(dst, `,"point_count":`...)
	dst = wire.AppendDecimal(dst, int64(c.Points), 0)
	dst = append(dst, `,"radius_miles":`...)
	dst = wire.AppendFloat(dst, c.RadiusMeters/stays.MetersPerMile, 64)
	return append(dst, '}')
}
