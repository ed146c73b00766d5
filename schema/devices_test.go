package schema_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lastseen/schema"
	"lastseen/schema/schematest"
)

// awkward is text that any careless quoting would spoil.
var awkward = []string{"", "plain", "it's", `back\slash \n \' \0`, "tab\tand\nnew\r\nline", `"double" and {param:String}`, "日本語 🚚 é", `\N`, "NULL", "{}", "[1,2]", ", ; -- /* */"}

func ptr[T any](v T) *T { return &v }

func TestSaveDevice(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	var want []schema.Device
	for i, text := range awkward {
		d := schema.Device{ID: schema.NewID(), OrgID: "org_" + text, MACAddress: text, CreatedAt: time.UnixMilli(1768469400120 + int64(i)).UTC(), Version: uint64(i)}
		if i > 0 { // the first has none
			d.Type, d.Comments, d.OffChrtReferenceID = ptr(text), ptr(text+text), ptr("r"+text)
		}
		if err := db.SaveDevice(t.Context(), d); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		want = append(want, d)
	}
	for _, d := range want {
		got, found, err := db.FindDevice(t.Context(), d.ID)
		if err != nil || !found {
			t.Fatalf("FindDevice: %v, %v", found, err)
		}
		if diff := cmp.Diff(d, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if got, found, err := db.FindDevice(t.Context(), schema.NewID()); found || err != nil {
		t.Errorf("found %+v, %v where there is none", got, err)
	}

	newer := want[1]
	newer.Version, newer.Comments, newer.Type = 9, nil, ptr("van")
	for _, d := range []schema.Device{newer, want[1]} { // the older one arrives last and loses
		if err := db.SaveDevice(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	want[1] = newer
	if got, _, _ := db.FindDevice(t.Context(), newer.ID); !cmp.Equal(newer, got) {
		t.Errorf("of two versions (-want +got):\n%s", cmp.Diff(newer, got))
	}
	var owners, wantOwners []schema.DeviceOwner
	if err := db.EachDeviceOwner(t.Context(), func(d schema.DeviceOwner) { owners = append(owners, d) }); err != nil {
		t.Fatal(err)
	}
	for _, d := range want {
		wantOwners = append(wantOwners, schema.DeviceOwner{ID: d.ID, OrgID: d.OrgID, MACAddress: d.MACAddress, CreatedAt: d.CreatedAt.UnixMilli(), Version: d.Version})
	}
	byID := func(a, b schema.DeviceOwner) int { return slices.Compare(a.ID[:], b.ID[:]) }
	slices.SortFunc(owners, byID)
	slices.SortFunc(wantOwners, byID)
	if diff := cmp.Diff(wantOwners, owners); diff != "" {
		t.Errorf("EachDeviceOwner (-want +got):\n%s", diff)
	}
}
