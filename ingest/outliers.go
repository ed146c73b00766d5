package ingest

import (
	"math"

	"lastseen/ingest/judge"
	"lastseen/schema"
	"lastseen/schema/measure"
)

// maxTracks bounds the sessions of which more is kept than their newest good point: those where something is in doubt,
// some 600 bytes each. A session that is not among them is read from ClickHouse when that matters.
const maxTracks = 1 << 14

// outliers is what is kept from one group to the next to judge points (package judge).
type outliers struct {
	flag   bool  // in sessions that leave it to the service
	since  int64 // when this began, Unix milliseconds: of earlier points it is not known what agreed with them
	tracks map[schema.ID]*judge.Track

	// Of the group at hand:
	track   judge.Track                       // of the session in place current
	current int32                             // in the group's states; -1 for none
	beside  []bool                            // of the fresh rows: late, and as good as the session's newest
	amended map[schema.PointKey]judge.Reason  // stored points that are judged otherwise
	flagged map[judge.Reason]*measure.Counter // the map is never changed
	lifted  measure.Counter
}

func newOutliers(flag bool, now int64) outliers {
	return outliers{
		flag: flag, since: now, tracks: make(map[schema.ID]*judge.Track), amended: make(map[schema.PointKey]judge.Reason),
		flagged: map[judge.Reason]*measure.Counter{judge.TooFast: {}, judge.NullIsland: {}, judge.Ahead: {}},
	}
}

// doubts is what the committer knows of a session to judge its points.
type doubts struct {
	setting schema.OutlierSetting
	known   bool  // something is stored
	cold    bool  // what comes after the newest good point is in ClickHouse only
	review  bool  // some points come before others that are judged already
	through int64 // the time up to which points are judged
	// track is what is known; nil when it is no more than that there is good, if hasGood, and whether that stands alone.
	track   *judge.Track
	good    judge.Fix
	hasGood bool
	alone   bool
	own     bool // track is of this group, and not what is kept until its points are stored
}

// doubtsOf returns what is known of a session, whose newest point that counts is shown, if anything is known.
func (o *outliers) doubtsOf(session schema.ID, shown *schema.DataPoint, newest int64, known bool) doubts {
	d := doubts{known: known, through: math.MinInt64}
	if d.track = o.tracks[session]; d.track != nil {
		d.through = d.track.Through()
		return d
	}
	if !known {
		return d
	}
	d.through = newest
	if d.hasGood = shown.Outlier == schema.NotOutlier; d.hasGood {
		d.good, d.alone = fixOf(shown), shown.ReceivedAt < o.since
	}
	d.cold = !d.hasGood || newest > shown.Timestamp
	return d
}

// look takes note that a point comes next, and reports whether it needs no judging. It may be that the session has to
// be reviewed because of it.
func (d *doubts) look(p *schema.DataPoint) (beside bool) {
	if d.hasBeside(p) {
		return true
	}
	// Of many at null island before the first good one, a track remembers the last few only.
	d.review = d.cold || p.Timestamp <= d.through || d.noGood() && isNullIsland(p) != d.known
	d.through = p.Timestamp
	return false
}

// noGood reports whether nothing is known of a session but what says nothing.
func (d *doubts) noGood() bool {
	if d.track != nil {
		_, good := d.track.Last()
		return !good
	}
	return !d.hasGood || d.good.AtNullIsland()
}

// hasBeside reports whether a late point is as good as the session's newest, of which nothing is in doubt.
func (d *doubts) hasBeside(p *schema.DataPoint) bool {
	if p.Timestamp > d.through || d.track != nil || !d.hasGood || d.cold || d.alone {
		return false
	}
	fix := fixOf(p)
	return fix.Beside(&d.good)
}

// judged reports whether the points of a session are judged.
func (o *outliers) judged(s *groupSession) bool {
	return s.setting == schema.FlagOutliers || s.setting == schema.OutliersUnset && o.flag
}

// remember keeps of a group's sessions what the next group needs, now that its points are stored. Without it all is as before
// the group, which is right after an insert that failed: what was stored all the same will be found.
func (o *outliers) remember(g *group) {
	for i := range g.states {
		s := &g.states[i]
		switch {
		case s.track == nil && len(o.tracks) > 0:
			delete(o.tracks, s.id)
		case s.track != nil:
			if len(o.tracks) >= maxTracks {
				for some := range o.tracks { // any
					delete(o.tracks, some)
					break
				}
			}
			o.tracks[s.id] = s.track
		}
	}
}

// flagChanges are stored points whose flags change because of others, with their new flags.
type flagChanges struct {
	// shown are older than points that count, on show or written with them, so that nobody is shown an older one.
	shown []schema.OwnedPoint
	// others are of the sessions marked, in which last_seen must follow the history, as after a person's mark.
	others []schema.OwnedPoint
	marked map[schema.ID]struct{}
}

// judge flags those of a group's fresh rows that cannot be true, and returns the stored points that are judged
// otherwise now.
func (c *committer) judge(g *group, fresh []schema.OwnedPoint) (flagChanges, error) {
	o := &c.outliers
	clear(o.amended)
	o.beside = append(o.beside[:0], make([]bool, len(fresh))...)
	for i := range fresh {
		s, p := &g.states[g.of[i]], &fresh[i].DataPoint
		if !s.review && o.judged(s) {
			o.beside[i] = s.look(p)
		}
	}
	o.judgeInOrder(g, fresh)
	changed, err := c.amend(fresh)
	if err != nil {
		return flagChanges{}, err
	}
	more, err := c.review(g, fresh)
	if err != nil {
		return flagChanges{}, err
	}
	changed = append(changed, more...)
	o.count(fresh, changed)
	return c.arrange(fresh, changed), nil
}

// judgeInOrder judges the sessions whose points come one after the other.
func (o *outliers) judgeInOrder(g *group, fresh []schema.OwnedPoint) {
	o.current = -1
	at := 0
	amend := func(when int64, now judge.Reason) { o.amendEarlier(fresh[:at], g.states[o.current].id, when, now) }
	for at = range fresh {
		place := g.of[at]
		s := &g.states[place]
		if s.review || !o.judged(s) || o.beside[at] {
			continue
		}
		if place != o.current {
			o.put(g)
			o.take(g, place)
		}
		fresh[at].Outlier = outlierOf(o.track.Next(fixOf(&fresh[at].DataPoint), amend))
	}
	o.put(g)
}

// take makes the session in a place the one whose points are judged.
func (o *outliers) take(g *group, place int32) {
	s := &g.states[place]
	o.current = place
	switch {
	case s.track != nil:
		o.track = *s.track
	case s.hasGood:
		if o.track = judge.From(s.good); s.alone {
			o.track.Doubt()
		}
	default:
		o.track = judge.Track{}
	}
}

// put gives the session whose points were judged what is known of it by now.
func (o *outliers) put(g *group) {
	if o.current < 0 {
		return
	}
	g.states[o.current].keep(&o.track)
	o.current = -1
}

// keep takes over what is known by now.
func (d *doubts) keep(t *judge.Track) {
	d.good, d.hasGood = t.Last()
	if d.alone = false; t.Plain() {
		d.track = nil
		return
	}
	if d.track == nil || !d.own {
		d.track, d.own = new(judge.Track), true
	}
	*d.track = *t
}

// amendEarlier takes note that an earlier point is judged otherwise. It is among the rows before, or stored.
func (o *outliers) amendEarlier(before []schema.OwnedPoint, session schema.ID, at int64, now judge.Reason) {
	for i := len(before) - 1; i >= 0; i-- {
		if p := &before[i].DataPoint; p.SessionID == session && p.Timestamp <= at {
			if p.Timestamp == at {
				p.Outlier = outlierOf(now)
				return
			}
			break
		}
	}
	o.amended[schema.PointKey{SessionID: session, Timestamp: at}] = now
}

// amend returns the stored points that are judged otherwise, as they are to be written.
func (c *committer) amend(fresh []schema.OwnedPoint) (changed []schema.OwnedPoint, err error) {
	amended := c.outliers.amended
	if len(amended) == 0 {
		return nil, nil
	}
	keys := make([]schema.PointKey, 0, len(amended))
	owners := make(map[schema.ID]*schema.OwnedPoint, len(amended))
	for key := range amended {
		keys = append(keys, key)
		owners[key.SessionID] = nil
	}
	for i := range fresh {
		if _, wanted := owners[fresh[i].SessionID]; wanted {
			owners[fresh[i].SessionID] = &fresh[i]
		}
	}
	stored, err := c.find(keys)
	if err != nil {
		return nil, err
	}
	for key, now := range amended {
		if p, there := stored[key]; there {
			changed = appendChange(changed, p, owners[key.SessionID], now)
		}
	}
	return changed, nil
}

// appendChange appends a stored point with the flag that it gets, unless it has it or a person has decided.
func appendChange(changed []schema.OwnedPoint, p schema.DataPoint, owner *schema.OwnedPoint, now judge.Reason) []schema.OwnedPoint {
	if p.DecidedByPerson() || p.Outlier == outlierOf(now) {
		return changed
	}
	p.Outlier = outlierOf(now)
	p.Version++
	return append(changed, schema.OwnedPoint{DataPoint: p, OrgID: owner.OrgID, DeviceID: owner.DeviceID})
}

// arrange tells the changed points that are older than one of their session which counts from the others: than a fresh one, or
// the one on show. To read what is the newest then, and to say beforehand that it may change, takes several times as
// long as to write them.
func (c *committer) arrange(fresh, changed []schema.OwnedPoint) (all flagChanges) {
	if len(changed) == 0 {
		return all
	}
	oldest := make(map[schema.ID]int64) // that is certainly shown, or a newer one
	for i := range changed {
		session := changed[i].SessionID
		if _, there := oldest[session]; there {
			continue
		}
		oldest[session] = math.MinInt64
		if _, known := c.newest.LastKnown(session, &c.shown); known && c.shown.Outlier == schema.NotOutlier {
			oldest[session] = c.shown.Timestamp
		}
	}
	for i := range fresh {
		if newest, wanted := oldest[fresh[i].SessionID]; wanted && fresh[i].Outlier == schema.NotOutlier {
			oldest[fresh[i].SessionID] = max(newest, fresh[i].Timestamp)
		}
	}
	for i := range changed {
		if p := &changed[i]; p.Timestamp >= oldest[p.SessionID] {
			if all.marked == nil {
				all.marked = make(map[schema.ID]struct{})
			}
			all.marked[p.SessionID] = struct{}{}
		}
	}
	for _, p := range changed {
		if _, marked := all.marked[p.SessionID]; marked {
			all.others = append(all.others, p)
		} else {
			all.shown = append(all.shown, p)
		}
	}
	return all
}

// count counts what was flagged, and what is not any more.
func (o *outliers) count(fresh, changed []schema.OwnedPoint) {
	for i := range fresh {
		if counter := o.flagged[reasonOf(fresh[i].Outlier)]; counter != nil {
			counter.Add(1)
		}
	}
	for i := range changed {
		if counter := o.flagged[reasonOf(changed[i].Outlier)]; counter != nil {
			counter.Add(1)
		} else {
			o.lifted.Add(1)
		}
	}
}

// fixOf returns a point as it is judged.
func fixOf(p *schema.DataPoint) judge.Fix {
	f := judge.Fix{At: p.Timestamp, Received: p.ReceivedAt, Latitude: p.Latitude, Longitude: p.Longitude}
	if p.Accuracy != schema.NoAccuracy {
		f.Accuracy = float32(p.Accuracy) / 10
	}
	if p.Speed != schema.NoSpeed {
		f.Speed = float32(p.Speed) / 100
	}
	return f
}

func isNullIsland(p *schema.DataPoint) bool {
	f := judge.Fix{Latitude: p.Latitude, Longitude: p.Longitude}
	return f.AtNullIsland()
}

// outlierOf returns the mark of a point that was judged so.
func outlierOf(r judge.Reason) schema.Outlier {
	switch r {
	case judge.TooFast:
		return schema.OutlierTooFast
	case judge.NullIsland:
		return schema.OutlierNullIsland
	case judge.Ahead:
		return schema.OutlierAhead
	}
	return schema.NotOutlier
}

// reasonOf is the reverse of outlierOf.
func reasonOf(o schema.Outlier) judge.Reason {
	switch o {
	case schema.OutlierTooFast:
		return judge.TooFast
	case schema.OutlierNullIsland:
		return judge.NullIsland
	case schema.OutlierAhead:
		return judge.Ahead
	}
	return judge.Plausible
}
