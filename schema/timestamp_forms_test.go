package schema

import (
	"testing"
	"time"
)

func TestEveryFormOfAnInstantIsRead(t *testing.T) {
	t.Parallel()
	second := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC).UnixMilli()
	for text, want := range map[string]int64{
		"2026-05-01T10:00:00Z": second, "2026-05-01t10:00:00z": second, "2026-05-01 10:00:00Z": second,
		"2026-05-01T12:00:00+02:00": second, "2026-05-01T12:00:00+0200": second, "2026-05-01T12:00:00+02": second, "2026-05-01T05:30:00-0430": second,
		"2026-05-01T10:00:00.1239Z": second + 123, "2026-05-01T10:00:00,5Z": second + 500,
		"2026-05-01T10:00Z": second, "20260501T100000Z": second, "20260501T1000Z": second, "20260501T100000.25+00": second + 250, "2026-05-01T10Z": second,
		"2026-121T10:00:00Z": second, "2026-W18-5T10:00:00Z": second, "2026W185T120000+0200": second,
		"1777629600": second, "1777629600123": second + 123, "1777629600.1239": second + 123, "1.7776296e9": second, "1777629600000.999": second,
		"-0.0001": -1, "-1": -1000, "0": 0,
		"2016-12-31T23:59:60Z":      time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(),
		"2017-01-01T00:59:60+01:00": time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(),
		"20161231T235960,5Z":        time.Date(2017, 1, 1, 0, 0, 0, 500e6, time.UTC).UnixMilli(),
		"2026-04-30T24:00:00Z":      time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC).UnixMilli(),
	} {
		if got, ok := ParseTimestamp(text); !ok || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, ok, want)
		}
	}
}

func TestWhatIsNoInstantIsRefusedInTheSameWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2026-05-01T10:00:00": noOffset, "2026-05-01 10:00:00.5": noOffset, "20260501T1000": noOffset,
		"": notATimestamp, "soon": notATimestamp, "2026-05-01": notATimestamp, "2026-02-30T10:00:00Z": notATimestamp, "2026-05-01T10:60:00Z": notATimestamp,
		"2026-05-01T25:00:00Z": notATimestamp, "2026-05-01T24:00:01Z": notATimestamp, "2026-05-01T10:00:60Z": notATimestamp,
		"2026-05-01T10:00:00+2": notATimestamp, "2026-366T10:00:00Z": notATimestamp, "2026-W54-1T10:00:00Z": notATimestamp,
		"1e99": notATimestamp, "1e-99999": notATimestamp, "1.2.3": notATimestamp, ".": notATimestamp, "0x10": notATimestamp, "NaN": notATimestamp, "99999999999999999999": notATimestamp,
	} {
		if got, ok := ParseTimestamp(text); ok {
			t.Errorf("%q was read as %d", text, got)
		} else if got := TimestampProblem(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestAKnownZoneIsThatOfTimesWithoutAnOffset(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 2*3600)
	want := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC).UnixMilli()
	for _, text := range []string{"2026-05-01T12:00:00", "2026-05-01 12:00", "2026-05-01T10:00:00Z", "1777629600"} {
		if got, ok := ParseTimestampIn(text, zone); !ok || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, ok, want)
		}
	}
}
