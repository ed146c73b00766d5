package server

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"lastseen/keys"
)

// drivers gives an organisation vehicles that have driven through a town's grid for some hours, with
// stops, and returns the session of the first one.
func (s *service) drivers(org string, vehicles int) (first string) {
	s.Helper()
	now := time.Now().UTC()
	names := []string{"dock-04-harbour", "express-117", "fleet-22", "load-4711", "night-mail-2", "parcel-run-9", "route-west-3"}
	for v := range vehicles {
		session := s.session(org, fmt.Sprintf("AA:BB:CC:00:00:%02X", v+1))
		s.post(pathUpdateSession+"?session_id="+session, s.token(org, keys.RoleOperator),
			fmt.Sprintf(`{"off_chrt_reference_id":"%s.%d"}`, names[v%len(names)], v/len(names)+1), 200)
		if v == 0 {
			first = session
		}
		s.ingestAs(org, drivenPast(session, rand.New(rand.NewPCG(7, uint64(v))), now, v))
	}
	return first
}

// ingestAs sends points of an organisation, which must all be accepted.
func (s *service) ingestAs(org, lines string) {
	s.Helper()
	s.post(pathIngest, s.token(org, keys.RoleDriver), lines, 200, header{"Content-Type", "application/x-ndjson"})
}

// drivenPast is three hours of a vehicle's points.
func drivenPast(session string, random *rand.Rand, now time.Time, v int) string {
	const step = 8 * time.Second
	silent := time.Duration(0)
	if v%9 == 5 {
		silent = 40 * time.Minute
	}
	var lines strings.Builder
	const block, across, along = 180.0, 22, 16 // metres, and blocks of the town
	x, y := block*float64(random.IntN(across)), block*float64(random.IntN(along))
	heading, left, speed, stop := 0, 0.0, 9.0, time.Duration(0)
	for at := now.Add(-3 * time.Hour); at.Before(now.Add(-silent)); at = at.Add(step) {
		if stop > 0 {
			stop -= step
		} else if left <= 0 {
			left, speed = block*float64(1+random.IntN(5)), 4+random.Float64()*14
			for turned := false; !turned; {
				heading = random.IntN(4)
				toX, toY := x+left*math.Round(math.Sin(float64(heading)*math.Pi/2)), y+left*math.Round(math.Cos(float64(heading)*math.Pi/2))
				turned = toX >= 0 && toY >= 0 && toX <= block*across && toY <= block*along
			}
			if random.IntN(25) == 0 {
				stop = time.Duration(4+random.IntN(14)) * time.Minute
			}
		}
		pace := speed + random.Float64()*3
		if stop > 0 {
			pace = 0
		}
		way := min(left, pace*step.Seconds())
		left -= way
		x += way * math.Round(math.Sin(float64(heading)*math.Pi/2))
		y += way * math.Round(math.Cos(float64(heading)*math.Pi/2))
		east, north := x*0.94+y*0.34, y*0.94-x*0.34
		fmt.Fprintf(&lines, `{"session_id":%q,"timestamp":%q,"latitude":%.6f,"longitude":%.6f,"speed":%.1f,"heading":%d,"battery":%.2f,"temperature":4.5}`+"\n",
			session, at.Format("2006-01-02T15:04:05.000Z"), 53.54+north/111195, 9.96+east/(111195*0.594), way/step.Seconds(), (heading*90+20)%360, 0.4+float64(v%7)/12)
	}
	return lines.String()
}
