package wire

import (
	"math"
	"strconv"
	"testing"

	"lastseen/schema"
)

// FuzzPointEncoder: whatever the encoder has written before, it writes a point like AppendDataPoint,
// and its numbers like the general appendDecimal.
func FuzzPointEncoder(f *testing.F) {
	f.Add(int64(1_768_469_400_000), int64(86_399_999), int32(407_484_000), int32(-739_857_000), int32(-123), uint32(85), uint16(1250), uint16(3599), uint16(9876), float32(-4.5), uint8(1))
	f.Add(int64(-2_203_891_200_999), int64(-1), int32(1), int32(-1), int32(0), uint32(0), uint16(0), uint16(0), uint16(0), float32(0), uint8(0))
	f.Add(int64(0), int64(86_400_000), int32(math.MinInt32), int32(math.MaxInt32), int32(math.MinInt32+1), uint32(math.MaxUint32-1), uint16(65534), uint16(100), uint16(10), float32(math.MaxFloat32), uint8(2))
	f.Add(int64(999_999_999_999), int64(1_000_000_000_000), int32(0), int32(0), int32(0), uint32(0), uint16(0), uint16(0), uint16(0), float32(0), uint8(0))
	f.Add(int64(1_000_000_100_000_009), int64(9_999_999_999_999), int32(0), int32(0), int32(0), uint32(0), uint16(0), uint16(0), uint16(0), float32(0), uint8(0))
	f.Add(int64(0), int64(10_000_000_000_000), int32(0), int32(0), int32(0), uint32(0), uint16(0), uint16(0), uint16(0), float32(0), uint8(0))
	const year10000 = 253_402_300_800_000
	f.Fuzz(func(t *testing.T, timestamp, later int64, latitude, longitude, altitude int32, accuracy uint32, speed, heading, battery uint16, temperature float32, outlier uint8) {
		session := schema.ID{1, 0xab, byte(timestamp)}
		encoder := NewPointEncoder(session)
		for _, at := range []int64{timestamp, timestamp + later%dayMillis, later, timestamp} {
			p := schema.NewDataPoint(session, at%year10000, latitude, longitude)
			if p.Timestamp < -62_167_219_200_000 { // the year 0
				return
			}
			p.ReceivedAt = max(later%year10000, 0)
			p.Altitude, p.Accuracy, p.Speed, p.Heading, p.Battery = altitude, accuracy, speed, heading, battery
			p.Temperature, p.Outlier = temperature, schema.Outlier(outlier)
			if got, want := string(encoder.Append([]byte("x"), &p)), string(AppendDataPoint([]byte("x"), &p)); got != want {
				t.Fatalf("got  %s\nwant %s", got, want)
			}
		}
		for name, pair := range map[string][2][]byte{
			"degrees":    {appendDegrees(nil, latitude), AppendDecimal(nil, int64(latitude), 7)},
			"tenths":     {appendTenths(nil, accuracy), AppendDecimal(nil, int64(accuracy), 1)},
			"hundredths": {appendHundredths(nil, accuracy), AppendDecimal(nil, int64(accuracy), 2)},
			"millis":     {appendMillis(nil, later), strconv.AppendInt(nil, later, 10)},
			"small":      {appendSmall(nil, uint32(speed)), strconv.AppendUint(nil, uint64(speed), 10)},
		} {
			if string(pair[0]) != string(pair[1]) {
				t.Errorf("%s: got %s, want %s", name, pair[0], pair[1])
			}
		}
	})
}
