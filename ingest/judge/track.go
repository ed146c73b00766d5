package judge

// What it takes for positions that cannot be reached from the last good one to become the truth: so many that agree
// with each other, or three over ten seconds. Whatever they say, so many in a row end the matter.
const (
	chainLength = 5
	shortChain  = 3
	shortSpan   = 10_000 // milliseconds
	patience    = 20
)

// What makes positions agree: that they err by so many metres, beside the speed between them, or that they go on as
// those before did, within so much of it, however fast that is.
const (
	agreeing = 200.0
	steady   = 0.3
)

// What makes a good position stand alone until the next one agrees with it, beside what no other makes possible: that
// it came from so many metres away at so many metres a second.
const (
	longStep = 5_000.0
	fastStep = 20.0
)

// Track is what is known of a session when its next position is judged. The zero value knows nothing. It belongs to
// one goroutine.
type Track struct {
	last   Fix // the last good one; with hasLast
	before Fix // if last is alone, the last good one that is not, or the first; with hasBefore
	// doubtful are the newest fixes that are taken for too fast. Where they pass for good: with hasLast they stood alone
	// after before, and without it they are at null island and there is nothing else.
	doubtful chain
	pass     bool
	future   chain   // the newest fixes whose time lies in the future
	credit   float32 // metres of the allowance that have been used
	learned  float32 // metres a second that turned out to be possible, above fastest; 0 for none
	refused  uint8   // since the last good one

	hasLast, hasBefore bool
	// alone says that no other fix agrees with last. It and one that cannot be reached from it are a word against a
	// word, and the newer counts.
	alone bool
}

// From returns a track of which no more is known than its last good position.
func From(last Fix) (t Track) {
	if last.AtNullIsland() {
		t.doubtful.push(last)
		t.pass = true
		return t
	}
	t.last, t.hasLast = last, true
	return t
}

// Doubt makes the last good position one that stands alone, since it is not known what agreed with it.
func (t *Track) Doubt() { t.alone = t.hasLast }

// Through returns the time (Unix milliseconds) up to which the track has judged: what is not later must be reviewed.
// Fixes in the future do not count.
func (t *Track) Through() int64 {
	at := int64(-1 << 62)
	if t.hasLast {
		at = t.last.At
	}
	if n := t.doubtful.length; n > 0 {
		at = max(at, t.doubtful.fixes[n-1].At)
	}
	return at
}

// Last returns the last good position, and false when there is none but at null island.
func (t *Track) Last() (last Fix, ok bool) { return t.last, t.hasLast }

// Plain reports whether the track is worth nothing more than its last good position, which is so of nearly all.
func (t *Track) Plain() bool {
	return t.hasLast && !t.alone && t.doubtful.length == 0 && t.future.length == 0 && t.refused == 0 && t.learned == 0 && t.credit < allowance/2
}

// Next judges a fix that is later than Through. It calls amend for each earlier fix that is judged otherwise because
// of this one, by its time.
func (t *Track) Next(f Fix, amend func(at int64, now Reason)) Reason {
	if !t.hasLast {
		return t.first(f, amend)
	}
	switch {
	case f.ahead() && !t.last.ahead():
		t.future.push(f)
		if all := t.future.all(); enough(all) { // the clock is ahead for good
			return t.believe(all, 0, amend)
		}
		return Ahead
	case t.reaches(&f):
		t.accept(f)
		return Plausible
	case f.AtNullIsland() && distance(&t.last, &f) > farFromIt:
		return NullIsland
	case t.lastIsWrong(&f):
		wrong := t.last
		amend(wrong.At, TooFast)
		if t.pass {
			for _, other := range t.doubtful.all() {
				if from := From(other); !from.reaches(&f) {
					amend(other.At, TooFast)
				}
			}
		}
		t.last = t.before
		t.accept(f)
		t.doubtful.push(wrong) // it may be right all the same
		return Plausible
	case t.alone && !t.outvotes(&f):
		t.contradict(f)
		return Plausible
	}
	return t.doubt(f, amend)
}

// outvotes reports whether the last good fix, though it stands alone, and the one before it, from which it was reached, are two
// words against one: the device can have come to this fix from neither.
func (t *Track) outvotes(f *Fix) bool {
	if !t.hasBefore || t.pass {
		return false
	}
	without := From(t.before)
	without.learned = t.learned
	return without.hasLast && without.reaches(&t.last) && !without.reaches(f)
}

// first judges a fix before which there is no good one.
func (t *Track) first(f Fix, amend func(int64, Reason)) Reason {
	if f.AtNullIsland() {
		t.doubtful.push(f)
		t.pass = true
		return Plausible
	}
	for _, zero := range t.doubtful.all() {
		if distance(&zero, &f) > farFromIt {
			amend(zero.At, NullIsland)
		}
	}
	*t = From(f)
	t.alone = true
	return Plausible
}

// possible is the speed that is possible between the last good fix and another, in metres a second.
func (t *Track) possible(f *Fix) float64 { return max(topSpeed(&t.last, f), float64(t.learned)) }

// reaches reports whether the device can have come from the last good fix to another.
func (t *Track) reaches(f *Fix) bool {
	if f.AtNullIsland() && distance(&t.last, f) > farFromIt {
		return false
	}
	reach := t.possible(f)*seconds(&t.last, f) + allowance - float64(t.credit) + inaccuracy(&t.last, f)
	return atMost(&t.last, f) <= reach || distance(&t.last, f) <= reach
}

// accept takes a fix for good.
func (t *Track) accept(f Fix) {
	gain, far := t.possible(&f)*seconds(&t.last, &f), atMost(&t.last, &f)
	t.alone, t.hasBefore = !t.hasLast, false
	if far > min(gain, longStep) && t.hasLast {
		far = distance(&t.last, &f)
		if far > longStep && speed(&t.last, &f) > fastStep || !agree(&t.last, &f) {
			t.before, t.hasBefore, t.alone = t.last, true, true
		}
	}
	used := float64(t.credit) - gain + max(far-noise-inaccuracy(&t.last, &f), 0)
	t.credit = float32(min(max(used, 0), allowance))
	t.last, t.hasLast, t.refused = f, true, 0
	t.doubtful.length, t.future.length, t.pass = 0, 0, false
}

// contradict takes a fix for good though it cannot be reached from the last one, which stands alone.
func (t *Track) contradict(f Fix) {
	if !t.hasBefore {
		t.before, t.hasBefore = t.last, true
	} else {
		t.doubtful.push(t.last)
		t.pass = true
	}
	t.last, t.credit, t.refused = f, 0, 0
}

// lastIsWrong reports whether the last good fix, which came from far away, rather than this one is wrong: the device
// can have come here without it, and more easily.
func (t *Track) lastIsWrong(f *Fix) bool {
	if !t.hasBefore {
		return false
	}
	without := From(t.before)
	without.learned = t.learned
	return without.hasLast && without.reaches(f) && 2*speed(&t.before, f) < speed(&t.before, &t.last)
}

// doubt takes note of a fix that is too fast, and believes it after all when enough agree.
func (t *Track) doubt(f Fix, amend func(int64, Reason)) Reason {
	t.refuse(f)
	all := t.doubtful.all()
	chain, learned := established(all)
	switch {
	case chain != nil:
		return t.believe(chain, learned, amend)
	case t.refused >= patience:
		return t.believe(all[len(all)-1:], 0, amend)
	}
	return TooFast
}

// refuse takes note of a fix that is too fast.
func (t *Track) refuse(f Fix) {
	if t.pass {
		t.doubtful.length, t.pass = 0, false
	}
	t.refused++
	t.doubtful.push(f)
}

// believe makes fixes that were in doubt the truth, and a speed possible.
func (t *Track) believe(chain []Fix, learned float32, amend func(int64, Reason)) Reason {
	for i := range chain[:len(chain)-1] {
		amend(chain[i].At, Plausible)
	}
	if learned = max(t.learned, learned); learned <= fastest {
		learned = 0
	}
	*t = Track{last: chain[len(chain)-1], hasLast: true, alone: len(chain) == 1, learned: learned}
	return Plausible
}

// chain are the last fixes of some, oldest first.
type chain struct {
	fixes  [chainLength]Fix
	length uint8
}

func (c *chain) all() []Fix { return c.fixes[:c.length] }

// push puts a fix at the end. One that is not later than those there begins the chain anew.
func (c *chain) push(f Fix) {
	switch {
	case c.length > 0 && f.At <= c.fixes[c.length-1].At:
		c.length = 0
	case c.length == chainLength:
		copy(c.fixes[:], c.fixes[1:])
		c.length--
	}
	c.fixes[c.length] = f
	c.length++
}

// established returns the end of some fixes in doubt when it is the truth by now, and the speed at which they go on.
func established(all []Fix) (chain []Fix, learned float32) {
	from := len(all) - 1
	for from > 0 && agree(&all[from-1], &all[from]) {
		from--
	}
	goesOn := len(all) == chainLength
	for i := 2; i < len(all) && goesOn; i++ {
		goesOn = isSteady(&all[i-2], &all[i-1], &all[i])
	}
	switch {
	case goesOn:
		return all, float32(1.3 * speed(&all[0], &all[len(all)-1]))
	case enough(all[from:]):
		return all[from:], 0
	}
	return nil, 0
}

// enough reports whether so many fixes that agree are believed.
func enough(chain []Fix) bool {
	return len(chain) == chainLength || len(chain) >= shortChain && chain[len(chain)-1].At-chain[0].At >= shortSpan
}

// agree reports whether a device can have come from one fix to the other, more strictly than from a good one.
func agree(a, b *Fix) bool {
	return distance(a, b) <= topSpeed(a, b)*seconds(a, b)+agreeing+inaccuracy(a, b)
}

// isSteady reports whether the way from b to c goes on as the one from a to b did.
func isSteady(a, b, c *Fix) bool {
	first, then := seconds(a, b), seconds(b, c)
	if first == 0 || then == 0 {
		return false
	}
	north, east := rate(a.Latitude, b.Latitude, first), turn(a.Longitude, b.Longitude)/first
	offNorth, offEast := rate(b.Latitude, c.Latitude, then)-north, turn(b.Longitude, c.Longitude)/then-east
	return offNorth*offNorth+offEast*offEast <= steady*steady*(north*north+east*east)
}

func rate(from, to int32, seconds float64) float64 { return (float64(to) - float64(from)) / seconds }

// turn is the way from one longitude to another, the short way round.
func turn(from, to int32) float64 {
	east := float64(to) - float64(from)
	switch {
	case east > wholeTurn/2:
		return east - wholeTurn
	case east < -wholeTurn/2:
		return east + wholeTurn
	}
	return east
}
