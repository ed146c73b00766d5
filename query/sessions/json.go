package sessions

import (
	"lastseen/query/wire"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendPage appends {"items":[…],"total_count":n} to dst, with "next_cursor" while there is more.
func AppendPage(dst []byte, page *Page) []byte {
	dst = append(dst, `{"items":[`...)
	for i := range page.Items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendSession(dst, &page.Items[i])
	}
	dst = append(dst, `],"total_count":`...)
	dst = strconv.AppendInt(dst, int64(page.TotalCount), 10)
	if page.NextCursor != "" {
		dst = appendString(appendKey(dst, "next_cursor"), page.NextCursor)
	}
	return append(dst, '}')
}

// AppendSession appends the JSON of a session to dst; what is unknown or empty is left out.
func AppendSession(dst []byte, s *View) []byte {
	dst = append(dst, `{"_id":"`...)
	dst = s.ID.AppendHex(dst)
	dst = append(dst, `","schema_version":1,"org_id":`...)
	dst = appendString(dst, s.OrgID)
	dst = append(dst, `,"device_id":"`...)
	dst = s.DeviceID.AppendHex(dst)
	dst = append(dst, `","device_mac_address":`...)
	dst = appendString(dst, s.DeviceMACAddress)
	dst = append(dst, `,"created_at_timestamp":`...)
	dst = wire.AppendTime(dst, s.CreatedAt.UnixMilli())
	dst = appendOptionalString(dst, "comments", s.Comments)
	dst = appendOptionalString(dst, "off_chrt_reference_id", s.OffChrtReferenceID)
	dst = appendOptionalString(dst, "off_chrt_shipper_org_data_id", s.OffChrtShipperOrgDataID)
	if s.Public != nil {
		dst = append(dst, `,"public":`...)
		dst = strconv.AppendBool(dst, *s.Public)
	}
	dst = appendOptionalString(dst, "outliers", s.Outliers)
	dst = appendStrings(dst, "shared_with_org_ids", s.SharedWithOrgIDs)
	dst = append(dst, `,"terminated":`...)
	dst = strconv.AppendBool(dst, !s.Ended.IsZero())
	if !s.Ended.IsZero() {
		dst = appendOptionalTime(dst, "terminated_at_timestamp", &s.Ended)
	}
	dst = appendOptionalTime(dst, "termination_scheduled_for_timestamp", s.TerminationScheduledFor)
	if s.LastSeen != nil {
		dst = append(dst, `,"last_seen_at_timestamp":`...)
		dst = wire.AppendTime(dst, s.LastSeen.Timestamp)
		dst = append(dst, `,"last_seen_at_location":`...)
		dst = wire.AppendLocation(dst, s.LastSeen)
	}
	dst = appendStrings(dst, "flight_numbers", s.FlightNumbers)
	dst = appendStrings(dst, "flight_loaded_statuses", s.FlightLoadedStatuses)
	dst = appendStrings(dst, "flight_leg_ids", s.FlightLegIDs)
	return append(dst, '}')
}

// AppendSuggestions appends the JSON answer of the typeahead route to dst.
func AppendSuggestions(dst []byte, s *Suggestions) []byte {
	dst = append(dst, `[{"type":"device_mac_address","values":`...)
	dst = appendStringArray(dst, s.MACAddresses)
	dst = append(dst, `},{"type":"off_chrt_reference_id","values":`...)
	dst = appendStringArray(dst, s.ReferenceIDs)
	return append(dst, `}]`...)
}

func appendKey(dst []byte, key string) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, key...)
	return append(dst, '"', ':')
}

func appendOptionalString(dst []byte, key string, value *string) []byte {
	if value == nil {
		return dst
	}
	return appendString(appendKey(dst, key), *value)
}

func appendOptionalTime(dst []byte, key string, value *time.Time) []byte {
	if value == nil {
		return dst
	}
	return wire.AppendTime(appendKey(dst, key), value.UnixMilli())
}

func appendStrings(dst []byte, key string, values []string) []byte {
	if len(values) == 0 {
		return dst
	}
	return appendStringArray(appendKey(dst, key), values)
}

func appendStringArray(dst []byte, values []string) []byte {
	dst = append(dst, '[')
	for i, value := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, value)
	}
	return append(dst, ']')
}

const hexDigits = "0123456789abcdef"

// appendString appends a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendString(dst []byte, text string) []byte {
	dst = append(dst, '"')
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&0xf])
		default:
			dst = utf8.AppendRune(dst, r)
		}
		text = text[size:]
	}
	return append(dst, '"')
}
