package server

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestNobodyHasAllStreams(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, owner   string
		streams, most int
	}{
		{"an organisation", "org_a", 8, 4},
		{"an organisation of an odd number", "org_a", 3, 2},
		{"an organisation of one", "org_a", 1, 1},
		{"the public", "", 8, 2},
		{"the public of few", "", 2, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newShares(tt.streams, time.Second)
				var own []*share
				for len(own) <= tt.streams {
					one, err := s.enter(t.Context(), tt.owner)
					if err != nil {
						if err != problemShare {
							t.Errorf("past the share: %v", err)
						}
						break
					}
					own = append(own, one)
				}
				if len(own) != tt.most {
					t.Fatalf("%d of %d streams, want %d", len(own), tt.streams, tt.most)
				}
				other, err := s.enter(t.Context(), "org_b")
				if err != nil {
					t.Fatalf("another organisation: %v", err)
				}
				entered := make(chan *share)
				go func() {
					one, err := s.enter(context.Background(), tt.owner)
					if err != nil {
						t.Error(err)
					}
					entered <- one
				}()
				synctest.Wait()
				own[0].leave()
				for _, one := range append(own[1:], other, <-entered) {
					one.leave()
				}
				if len(s.owners) != 0 {
					t.Errorf("%d owners are left when all is over", len(s.owners))
				}
			})
		})
	}
}
