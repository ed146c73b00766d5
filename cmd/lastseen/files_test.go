package main

import (
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// The real data, which is read from where it lies and never copied into the project.
const (
	busFile      = "../../../shared/data/liverpool_bus_route14.csv"
	aircraftFile = "../../../shared/data/switzerland_adsb.json.gz"
)

// position is a position as the files have it, computed here by code that shares nothing with the
// importer. What is NaN is not in the file.
type position struct {
	at                       int64 // Unix milliseconds
	latitude, longitude      float64
	altitude, speed, heading float64
}

// fileTracks are the positions of the files by vehicle, in ascending time.
func fileTracks(t *testing.T) map[string][]position {
	t.Helper()
	for _, file := range []string{busFile, aircraftFile} {
		if _, err := os.Stat(file); err != nil {
			t.Skipf("the real data is not there: %v", err)
		}
	}
	tracks := map[string][]position{}
	busTracks(t, tracks)
	aircraftTracks(t, tracks)
	for _, track := range tracks {
		slices.SortFunc(track, func(a, b position) int { return cmp.Compare(a.at, b.at) })
	}
	return tracks
}

func busTracks(t *testing.T, tracks map[string][]position) {
	t.Helper()
	file, err := os.Open(busFile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	number := func(text string) float64 {
		if text == "" {
			return math.NaN()
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, row := range rows[1:] { // id, vehicle_id, trip_id, timestamp, latitude, longitude, bearing, …
		at, err := time.Parse(time.DateTime, row[3])
		if err != nil {
			t.Fatal(err)
		}
		tracks[row[1]] = append(tracks[row[1]], position{
			at: at.UnixMilli(), latitude: number(row[4]), longitude: number(row[5]),
			altitude: math.NaN(), speed: math.NaN(), heading: number(row[6]),
		})
	}
}

func aircraftTracks(t *testing.T, tracks map[string][]position) {
	t.Helper()
	file, err := os.Open(aircraftFile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		ICAO24                                            string
		Timestamp                                         int64
		Latitude, Longitude, Altitude, Groundspeed, Track float64
	}
	if err := json.NewDecoder(unzipped).Decode(&rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		tracks[row.ICAO24] = append(tracks[row.ICAO24], position{
			at: row.Timestamp, latitude: row.Latitude, longitude: row.Longitude,
			altitude: row.Altitude * 0.3048, speed: row.Groundspeed * 1852 / 3600, heading: row.Track,
		})
	}
}
