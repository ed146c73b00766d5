package main

import "time"

// dataPoint is a data point on the wire.
type dataPoint struct {
	ID         string    `json:"_id"`
	Timestamp  time.Time `json:"timestamp"`
	ReceivedAt time.Time `json:"received_at_timestamp"`
	Location   struct {
		Geometry struct {
			Coordinates []float64 `json:"coordinates"`
		} `json:"geometry"`
		Properties map[string]float64 `json:"properties"`
	} `json:"location"`
	Metadata struct {
		SessionID string `json:"session_id"`
		Outlier   bool   `json:"outlier"`
	} `json:"metadata"`
}

// wireCluster is a stationary cluster on the wire.
type wireCluster struct {
	Centroid struct {
		Geometry struct {
			Coordinates []float64 `json:"coordinates"`
		} `json:"geometry"`
	} `json:"centroid_location"`
	Start  time.Time `json:"start_timestamp"`
	End    time.Time `json:"end_timestamp"`
	Points int       `json:"point_count"`
	Radius float64   `json:"radius_miles"`
}

// wireHistory is a history on the wire.
type wireHistory struct {
	Points   []dataPoint   `json:"data_points"`
	Clusters []wireCluster `json:"stationary_clusters"`
}

// wireSession is a session on the wire.
type wireSession struct {
	ID               string     `json:"_id"`
	OrgID            string     `json:"org_id"`
	DeviceID         string     `json:"device_id"`
	DeviceMACAddress string     `json:"device_mac_address"`
	Reference        string     `json:"off_chrt_reference_id"`
	LastSeenAt       *time.Time `json:"last_seen_at_timestamp"`
	LastSeenLocation *struct {
		Geometry struct {
			Coordinates []float64 `json:"coordinates"`
		} `json:"geometry"`
	} `json:"last_seen_at_location"`
}

type wirePage struct {
	Items []wireSession `json:"items"`
	Total int           `json:"total_count"`
}
