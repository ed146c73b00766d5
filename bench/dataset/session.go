package dataset

import (
	"fmt"
	"time"

	"lastseen/schema"
)

// Session returns the row of a session. In a data set that is described, one after the other was made; and of one in
// eight an end is known, by hand or by schedule.
func (s *Spec) Session(i int) *schema.Session {
	created := s.createdAt()
	row := &schema.Session{
		ID: s.SessionID(i), OrgID: s.OrgID(s.Organisation(i)), DeviceID: s.DeviceID(i), DeviceMACAddress: s.MAC(i), CreatedAt: created,
		SharedWithOrgIDs: []string{}, FlightNumbers: []string{}, FlightLoadedStatuses: []string{}, FlightLegIDs: []string{},
	}
	if !s.Described {
		return row
	}
	row.CreatedAt = created.Add(time.Duration(i-s.Sessions) * time.Millisecond)
	reference, comments, public := s.Reference(i), s.Comments(i), i%3 == 0
	row.OffChrtReferenceID, row.Comments, row.Public = &reference, &comments, &public
	end := row.CreatedAt.Add(time.Duration(mix(uint64(i))%3_600_000) * time.Millisecond)
	switch i % 16 {
	case 3:
		row.TerminatedAt = &end
	case 11:
		end = end.AddDate(20, 0, 0) // none comes due while something is measured
		row.TerminationScheduledFor = &end
	}
	return row
}

// Reference returns the reference id of a session of a data set that is described: one of its own.
func (s *Spec) Reference(session int) string {
	return fmt.Sprintf("LOAD-%08d", uint64(session)*7_368_787%100_000_000)
}

// Comments returns the comments of a session of a data set that is described.
func (s *Spec) Comments(session int) string {
	draw := mix(mix(s.Seed) ^ 0xc033<<40 ^ uint64(session))
	from, to := places[draw%uint64(len(places))], places[draw>>16%uint64(len(places))]
	return fmt.Sprintf("%s - %s, %d pallets, call %04d", from, to, draw>>32%34, draw>>40%10_000)
}

// places are where the vehicles come from and go to.
var places = []string{
	"Aachen", "Bergen", "Córdoba", "Düsseldorf", "Eindhoven", "Firenze", "Genève", "Helsinki", "Innsbruck", "Jönköping",
	"København", "Łódź", "Málaga", "Nürnberg", "Oostende", "Plzeň", "Rotterdam", "San Sebastián", "Tromsø", "Zürich",
}
