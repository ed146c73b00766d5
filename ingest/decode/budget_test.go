package decode_test

import (
	"strconv"
	"sync"
	"testing"

	"lastseen/ingest/decode"
)

func TestOneOwnerLeavesTheOthersTheirShareOfTheBudget(t *testing.T) {
	t.Parallel()
	const mebibyte = 1 << 20
	whole := decode.NewBudget(256 * mebibyte)
	greedy, other := whole.Of("org_a"), whole.Of("org_b")
	taken := int64(0)
	for greedy.TryAcquire(mebibyte) {
		taken++
	}
	if taken != 128 || whole.Refused() != 1 {
		t.Errorf("one owner gets %d of 256 MiB, %d refusals", taken, whole.Refused())
	}
	if whole.Of("org_a").TryAcquire(1) {
		t.Error("an owner gets a second share")
	}
	if !other.TryAcquire(100*mebibyte) || other.TryAcquire(29*mebibyte) {
		t.Error("the other owner does not get what is left, and no more")
	}
	greedy.Release(taken * mebibyte)
	other.Release(100 * mebibyte)
	if whole.InUse() != 0 || greedy.InUse() != 0 || other.InUse() != 0 {
		t.Errorf("%d bytes are in use at the end", whole.InUse())
	}
}

func TestASmallBudgetGivesAnOwnerAllOfIt(t *testing.T) {
	t.Parallel()
	whole := decode.NewBudget(1 << 20)
	if share := whole.Of("org_a"); !share.TryAcquire(1<<20) || share.TryAcquire(1) {
		t.Error("an owner does not get what the largest body takes")
	}
}

func TestSharesOfManyOwnersAreOneBudget(t *testing.T) {
	t.Parallel()
	whole := decode.NewBudget(1000)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 2000 {
				share := whole.Of("org_" + strconv.Itoa(worker*2000+i))
				if share.TryAcquire(200) {
					if used := whole.InUse(); used > 1000+8*200 { // those refused are counted for a moment
						t.Errorf("%d bytes are in use", used)
					}
					share.Release(200)
				}
			}
		})
	}
	all.Wait()
	if whole.InUse() != 0 {
		t.Errorf("%d bytes are in use at the end", whole.InUse())
	}
}
