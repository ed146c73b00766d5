package sessions

import (
	"slices"
	"sync"
	"sync/atomic"
)

const (
	stretchBits   = 15
	stretchRows   = 1 << stretchBits
	stretchBlocks = stretchRows / blockRows
	gramBits      = 15
	// commonShare is the part of a stretch's rows from which on a gram tells too little to be kept.
	commonShare = 8
	// mostChanged is how many rows of a stretch may change their texts before its grams are made anew.
	mostChanged = stretchRows / 16
	// gramsOfUsual is how many grams the texts have that people look for, longer ones aside.
	gramsOfUsual = 32
)

// grams say which rows of a stretch, some tens of thousands of rows one after the other, may contain a text: for every
// three bytes that are in folded texts one after the other, in which rows they are. Rows of one fleet are many only
// where somebody has very many sessions; a fleet that fills no stretch has no grams. Different grams may share an entry
// and rows may have changed since, so that what is found is looked at again.
type grams struct {
	ends    [1<<gramBits + 1]uint32 // of the rows of each gram; they begin where those of the one before end
	rows    []uint16                // in ascending order for each gram
	common  [1 << gramBits / 64]uint64
	changed map[uint16]struct{} // rows whose texts are other ones since
}

// stretch is a full one, with its grams from the first search on: making those of a million rows takes nearly a tenth of a second, for
// which a start has no time, and a search for those of one stretch 2 ms.
type stretch struct {
	blocks []*block
	made   atomic.Pointer[grams]
	making sync.Mutex
}

// grams returns the grams of the stretch. The caller holds its fleet's lock, for reading at least.
func (s *stretch) grams() *grams {
	if g := s.made.Load(); g != nil {
		return g
	}
	s.making.Lock()
	defer s.making.Unlock()
	g := s.made.Load()
	if g == nil {
		g = newGrams(s.blocks)
		s.made.Store(g)
	}
	return g
}

// change notes that a row has other texts. The caller holds its fleet's lock for writing.
func (s *stretch) change(row uint16) {
	if g := s.made.Load(); g != nil && g.change(row) {
		s.made.Store(nil) // the next search makes them anew
	}
}

// gramAt returns the gram of three bytes.
func gramAt(text []byte, i int) uint32 {
	three := uint32(text[i])<<16 | uint32(text[i+1])<<8 | uint32(text[i+2])
	return three * 0x9e3779b1 >> (32 - gramBits)
}

// newGrams makes the grams of a stretch of full blocks.
func newGrams(blocks []*block) *grams {
	g := new(grams)
	each := func(do func(gram uint32, row uint16)) {
		var last [1 << gramBits]uint16 // the row + 1 that has each gram
		for n, b := range blocks {
			for i := range b.rows {
				row := uint16(n<<blockBits | i)
				folded := b.folded(&b.rows[i])
				for at := 0; at+3 <= len(folded); at++ {
					if gram := gramAt(folded, at); last[gram] != row+1 {
						last[gram] = row + 1
						do(gram, row)
					}
				}
			}
		}
	}
	var counts [1 << gramBits]uint32
	each(func(gram uint32, _ uint16) { counts[gram]++ })
	total := uint32(0)
	for gram, n := range counts {
		g.ends[gram] = total // where its rows begin, until they are there
		if n > stretchRows/commonShare {
			g.common[gram/64] |= 1 << (gram % 64)
			continue
		}
		total += n
	}
	g.rows = make([]uint16, total)
	each(func(gram uint32, row uint16) {
		if !g.isCommon(gram) {
			g.rows[g.ends[gram]] = row
			g.ends[gram]++
		}
	})
	return g
}

func (g *grams) isCommon(gram uint32) bool { return g.common[gram/64]>>(gram%64)&1 != 0 }

// of returns the rows of a gram.
func (g *grams) of(gram uint32) []uint16 {
	if gram == 0 {
		return g.rows[:g.ends[0]]
	}
	return g.rows[g.ends[gram-1]:g.ends[gram]]
}

// change notes that a row has other texts, and reports whether the grams should be made anew.
func (g *grams) change(row uint16) (stale bool) {
	if g.changed == nil {
		g.changed = make(map[uint16]struct{})
	}
	g.changed[row] = struct{}{}
	return len(g.changed) > mostChanged
}

// mayContain appends the rows that may contain a folded text to found, in ascending order. It reports false, and nothing
// else, where that could be any.
func (g *grams) mayContain(needle []byte, found []uint16) ([]uint16, bool) {
	var room [gramsOfUsual][]uint16
	lists := room[:0]
	for at := 0; at+3 <= len(needle); at++ {
		gram := gramAt(needle, at)
		if g.isCommon(gram) {
			continue
		}
		list := g.of(gram)
		if len(list) == 0 && len(g.changed) == 0 {
			return found, true // nothing has it, which most of what is not there shows soon
		}
		lists = append(lists, list)
	}
	if len(lists) == 0 {
		return found, false
	}
	slices.SortFunc(lists, func(a, b []uint16) int { return len(a) - len(b) })
	found = append(found, lists[0]...)
	for _, list := range lists[1:] {
		if len(found) < len(list)/64 {
			break // looking at the few is less work than at so many
		}
		found = intersect(found, list)
	}
	for row := range g.changed {
		found = append(found, row)
	}
	slices.Sort(found)
	return slices.Compact(found), true
}

// intersect keeps what is in both of two ascending lists, in the memory of the first.
func intersect(some, others []uint16) []uint16 {
	kept := some[:0]
	for _, row := range some {
		for len(others) > 0 && others[0] < row {
			others = others[1:]
		}
		if len(others) > 0 && others[0] == row {
			kept = append(kept, row)
		}
	}
	return kept
}

// mayContain reports whether one of the block's texts may contain a folded text. The caller holds the fleet's lock, for reading at least.
func (b *block) mayContain(needle []byte) bool {
	if len(needle) < 3 || len(b.rows) < blockRows {
		return true
	}
	may := b.may.Load()
	if may == nil { // of several who make it the last one's counts, which is as good as any
		may = newGramSet(b)
		b.may.Store(may)
	}
	return may.mayContain(needle)
}

// gramSet are the grams that the texts of a block have, and perhaps some that they had. It is for full blocks of a stretch
// that is not, so that few of up to a stretch's rows are looked through for a text that they have not.
type gramSet [1 << gramBits / 64]uint64

// newGramSet returns that of a block.
func newGramSet(b *block) *gramSet {
	s := new(gramSet)
	for i := range b.rows {
		s.add(b.folded(&b.rows[i]))
	}
	return s
}

// add takes over the grams of a folded text.
func (s *gramSet) add(folded []byte) {
	for at := 0; at+3 <= len(folded); at++ {
		gram := gramAt(folded, at)
		s[gram/64] |= 1 << (gram % 64)
	}
}

// mayContain reports whether one of the texts may contain a folded text.
func (s *gramSet) mayContain(needle []byte) bool {
	for at := 0; at+3 <= len(needle); at++ {
		if gram := gramAt(needle, at); s[gram/64]>>(gram%64)&1 == 0 {
			return false
		}
	}
	return true
}
