package query

// appendCluster appends the JSON of a stationary cluster.
func appendCluster(dst []byte, c *cluster) []byte {
	dst = append(dst, `{"centroid_location":{"type":"Feature","geometry":{"type":"Point","coordinates":[`...)
	dst = appendFloat(dst, c.longitude, 64)
	dst = append(dst, ',')
	dst = appendFloat(dst, c.latitude, 64)
	dst = append(dst, `]},"properties":{}},"start_timestamp":`...)
	dst = appendTime(dst, c.start)
	dst = append(dst, `,"end_timestamp":`...)
	dst = appendTime(dst, c.end)
	dst = append(dst, `,"point_count":`...)
	dst = appendDecimal(dst, int64(c.points), 0)
	dst = append(dst, `,"radius_miles":`...)
	dst = appendFloat(dst, c.radiusMeters/metersPerMile, 64)
	return append(dst, '}')
}
