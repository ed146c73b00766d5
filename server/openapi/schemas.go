package openapi

import (
	"math"
	"time"

	"lastseen/keys/apikey"
)

// Ref refers to one of the document's schemas.
func Ref(name string) Schema { return Schema{"$ref": "#/components/schemas/" + name} }

// Text is a string of a length; most 0 means any.
func Text(least, most int) Schema {
	s := Schema{"type": "string"}
	if least > 0 {
		s["minLength"] = least
	}
	if most > 0 {
		s["maxLength"] = most
	}
	return s
}

// Timestamp is an RFC 3339 time.
func Timestamp() Schema { return Schema{"type": "string", "format": "date-time"} }

// Date is a day.
func Date() Schema { return Schema{"type": "string", "format": "date"} }

// Integer is a whole number from least to most.
func Integer(least, most int) Schema {
	return Schema{"type": "integer", "minimum": least, "maximum": most}
}

// Count is a whole number that is not negative.
func Count() Schema { return Schema{"type": "integer", "minimum": 0} }

// Boolean is true or false.
func Boolean() Schema { return Schema{"type": "boolean"} }

// Choice is one of some words, of which the first is the default.
func Choice(words ...string) Schema {
	return Schema{"type": "string", "enum": words, "default": words[0]}
}

// List is an array.
func List(of Schema) Schema { return Schema{"type": "array", "items": of} }

// ID is an object's id.
func ID() Schema { return Schema{"type": "string", "pattern": "^[0-9a-f]{24}$"} }

// Reference is a text that names something of the caller's elsewhere.
func Reference() Schema { return Schema{"type": "string", "pattern": "^[A-Za-z0-9._~-]{1,64}$"} }

// True is the answer of what has been done.
func True() Schema { return Schema{"const": true} }

// Object is an object whose fields are these; those whose names are in required are always there.
func Object(fields Schema, required ...string) Schema {
	s := Schema{"type": "object", "properties": fields}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func number(least, most float64) Schema {
	return Schema{"type": "number", "minimum": least, "maximum": most}
}

// schemas are those that operations refer to.
func schemas() map[string]Schema {
	all := map[string]Schema{}
	for _, part := range []map[string]Schema{problemSchemas(), trackingSchemas(), requestSchemas(), keySchemas(), personSchemas()} {
		for name, schema := range part {
			all[name] = schema
		}
	}
	return all
}

func problemSchemas() map[string]Schema {
	fields := func() Schema {
		return Schema{
			"type": Schema{"const": "about:blank"}, "title": Text(1, 0), "status": Integer(400, 599),
			"detail":  Schema{"type": "string", "minLength": 1, "description": "One sentence that says what to do."},
			"message": Schema{"type": "string", "minLength": 1, "description": "The same sentence."}, "request_id": Text(1, 64),
		}
	}
	always := []string{"type", "title", "status", "detail", "message", "request_id"}
	conflict := fields()
	conflict["status"] = Schema{"const": 409}
	conflict["_id"] = Schema{"type": "string", "description": "What of the caller's is in the way, where it is named: of the creation of a key, the key that a request with this Idempotency-Key has made."}
	invalid := fields()
	invalid["status"] = Schema{"const": 422}
	invalid["errors"] = Schema{"type": "array", "minItems": 1, "items": Object(Schema{
		"loc": Schema{"type": "array", "minItems": 1, "items": Text(1, 0), "description": "query, body or header, and the name"}, "msg": Text(1, 0),
	}, "loc", "msg")}
	return map[string]Schema{
		"Problem":      Object(fields(), always...),
		"Conflict":     Object(conflict, always...),
		"InvalidInput": Object(invalid, append(always, "errors")...),
	}
}

// pointGeometry is a point of GeoJSON.
func pointGeometry() Schema {
	return Object(Schema{
		"type":        Schema{"const": "Point"},
		"coordinates": Schema{"type": "array", "minItems": 2, "maxItems": 3, "items": Schema{"type": "number"}, "description": "Longitude, latitude and, when it is known, altitude in metres."},
	}, "type", "coordinates")
}

func trackingSchemas() map[string]Schema {
	return map[string]Schema{
		"Feature": Object(Schema{
			"type":     Schema{"const": "Feature"},
			"geometry": pointGeometry(),
			"properties": Object(Schema{
				"accuracy": number(0, 1e7), "speed": number(0, 650), "heading": number(0, 360), "battery": number(0, 1),
			}),
		}, "type", "geometry", "properties"),
		"DataPoint": Object(Schema{
			"_id": Text(24, 64), "timestamp": Timestamp(), "received_at_timestamp": Timestamp(), "schema_version": Schema{"const": 1},
			"temperature": Schema{"type": "number", "description": "Degrees Celsius."}, "location": Ref("Feature"),
			"metadata": Object(Schema{
				"session_id": ID(), "outlier": Boolean(), "paused": Boolean(), "outlier_labeller": Schema{"enum": []string{"user", "auto"}},
				"outlier_reason": Schema{"enum": []string{"speed", "null_island", "future"}, "description": "Why a point whose labeller is auto cannot be true."},
			}, "session_id", "outlier", "paused"),
		}, "_id", "timestamp", "received_at_timestamp", "schema_version", "location", "metadata"),
		"LastSeen": Schema{"oneOf": []Schema{Ref("DataPoint"), {"type": "null"}}, "description": "The newest data point that is no outlier, or null."},
		"LastSeenBatch": Object(Schema{
			"session_ids": Schema{"type": "array", "items": Text(0, 64), "minItems": 1, "maxItems": 1000, "description": "Ids of sessions; one that is named twice is answered twice."},
		}, "session_ids"),
		"NewestPoints": Object(Schema{
			"data_points": Schema{"type": "array", "items": Ref("LastSeen"), "description": "In the order asked; null without a point, and for what is not found."},
			"not_found":   Schema{"type": "array", "items": Schema{"type": "string"}, "description": "Ids of sessions that are not there for the caller."},
		}, "data_points", "not_found"),
		"Changes": Object(Schema{
			"data_points": List(Ref("DataPoint")),
			"gone":        Schema{"type": "array", "items": ID(), "description": "Sessions that have ended, that the caller may no longer see, or that have no point to show any more."},
			"next_cursor": Text(1, 200), "more": Boolean(),
			"reset": Schema{"const": true, "description": "The cursor was too old: every session is given anew; forget what is not."},
		}, "data_points", "gone", "next_cursor", "more"),
		"StationaryCluster": Object(Schema{
			"centroid_location": Ref("Feature"), "start_timestamp": Timestamp(), "end_timestamp": Timestamp(),
			"point_count": Count(), "radius_miles": Schema{"type": "number", "minimum": 0},
		}, "centroid_location", "start_timestamp", "end_timestamp", "point_count", "radius_miles"),
		"History": Object(Schema{
			"data_points": List(Ref("DataPoint")), "stationary_clusters": List(Ref("StationaryCluster")),
			"next_cursor": Text(1, 200),
		}, "data_points", "stationary_clusters"),
		"PointCollection": Object(Schema{
			"type": Schema{"const": "FeatureCollection"}, "features": List(Object(Schema{
				"type": Schema{"const": "Feature"}, "geometry": pointGeometry(),
				"properties": Object(Schema{
					"_id": Text(24, 64), "session_id": ID(), "timestamp": Timestamp(), "received_at_timestamp": Timestamp(),
					"accuracy": number(0, 1e7), "speed": number(0, 650), "heading": number(0, 360), "battery": number(0, 1),
					"temperature": Schema{"type": "number", "description": "Degrees Celsius."}, "outlier": Boolean(),
				}, "_id", "session_id", "timestamp", "received_at_timestamp", "outlier"),
			}, "type", "geometry", "properties")),
		}, "type", "features"),
		"Session": Object(Schema{
			"_id": ID(), "schema_version": Schema{"const": 1}, "org_id": Text(1, 0), "device_id": ID(), "device_mac_address": Text(1, 64),
			"created_at_timestamp": Timestamp(), "comments": Text(0, 1000), "off_chrt_reference_id": Reference(),
			"off_chrt_shipper_org_data_id": Text(1, 255), "public": Boolean(), "outliers": outlierSetting(), "shared_with_org_ids": List(Text(1, 0)),
			"terminated": Boolean(), "terminated_at_timestamp": Timestamp(), "termination_scheduled_for_timestamp": Timestamp(),
			"last_seen_at_timestamp": Timestamp(), "last_seen_at_location": Ref("Feature"),
			"flight_numbers": List(Text(1, 0)), "flight_loaded_statuses": List(Text(1, 0)), "flight_leg_ids": List(Text(1, 0)),
		}, "_id", "schema_version", "org_id", "device_id", "device_mac_address", "created_at_timestamp", "terminated"),
		"SessionPage": Object(Schema{"items": List(Ref("Session")), "total_count": Count(), "next_cursor": Text(1, 0)}, "items", "total_count"),
		"Suggestions": List(Object(Schema{
			"type": Schema{"enum": []string{"device_mac_address", "off_chrt_reference_id"}}, "values": List(Text(0, 0)),
		}, "type", "values")),
		"IngestResult": Object(Schema{
			"accepted": Count(), "rejected": List(Object(Schema{"index": Count(), "detail": Text(1, 0)}, "index", "detail")),
			"replaced": Count(), "dropped_values": Count(),
		}, "accepted", "rejected", "replaced", "dropped_values"),
		"MarkResult": Object(Schema{"successful_updates": Count(), "failed_updates": Count()}, "successful_updates", "failed_updates"),
	}
}

func outlierSetting() Schema {
	return Schema{"enum": []string{"flag", "off"}, "description": "Whether points that cannot be true are marked as outliers; the service's flag --outliers decides when absent."}
}

func requestSchemas() map[string]Schema {
	said := func() Schema {
		return Schema{
			"schema_version": Schema{"const": 1}, "comments": Text(0, 1000), "off_chrt_reference_id": Reference(),
			"off_chrt_shipper_org_data_id": Text(1, 255), "public": Boolean(), "outliers": outlierSetting(), "termination_scheduled_for_timestamp": Timestamp(),
		}
	}
	update := said()
	for _, name := range []string{"comments", "off_chrt_reference_id", "off_chrt_shipper_org_data_id", "public", "outliers", "termination_scheduled_for_timestamp"} {
		update[name+"__set_to_None"] = Schema{"type": "boolean", "description": "true clears " + name + "."}
	}
	return map[string]Schema{
		"NewDevice": Object(Schema{
			"device_mac_address": Schema{"type": "string", "pattern": "^[A-Za-z0-9.:_-]{1,64}$"}, "schema_version": Schema{"const": 1},
			"type": Text(1, 64), "comments": Text(0, 1000), "off_chrt_reference_id": Reference(),
		}, "device_mac_address", "schema_version"),
		"NewSession":    Object(said(), "schema_version"),
		"SessionUpdate": Object(update),
		"SharedOrgsUpdate": Object(Schema{
			"session_id": ID(), "add_org_ids": List(Text(1, 0)), "remove_org_ids": List(Text(1, 0)),
		}, "session_id"),
		"Marks": Object(Schema{
			"outlier": Boolean(), "tracking_session_by_device_data_point_ids": Schema{"type": "array", "items": Text(1, 0), "maxItems": 10_000},
		}, "outlier", "tracking_session_by_device_data_point_ids"),
		"Point": Object(Schema{
			"session_id": ID(), "device_id": ID(), "device_mac_address": Text(1, 64), "timestamp": Timestamp(),
			"latitude": number(-90, 90), "longitude": number(-180, 180), "altitude": number(-12_000, 100_000), "accuracy": number(0, 1e7),
			"speed": number(0, 650), "heading": number(0, 360), "temperature": number(-273.15, 10_000), "battery": number(0, 1),
		}, "timestamp", "latitude", "longitude"),
		"Points": Schema{"oneOf": []Schema{
			Object(Schema{"points": List(Ref("Point"))}, "points"), List(Ref("Point")),
		}, "description": "As application/x-ndjson, one point on each line."},
	}
}

func keySchemas() map[string]Schema {
	record := func() Schema {
		return Schema{
			"_id": ID(), "org_id": Text(1, 0), "name": Text(1, 100), "prefix": Text(1, 16), "device_id": ID(), "registers_devices": Boolean(),
			"created_by_user_id": Text(1, 0), "created_at_timestamp": Timestamp(), "expires_at_timestamp": Timestamp(),
			"revoked_at_timestamp": Timestamp(), "revoked_by_user_id": Text(1, 0), "last_used_at_timestamp": Timestamp(),
			"status":            Schema{"enum": []string{"active", "expired", "revoked"}},
			"scopes":            keyScopes("What the key is for; left out for all."),
			"allowed_ip_ranges": keyRanges(), "requests_per_second": keyRate(),
			"replaces_id":    Schema{"type": "string", "description": "The key that was rotated into this one."},
			"replaced_by_id": Schema{"type": "string", "description": "The key that this one was rotated into."},
		}
	}
	always := []string{"_id", "org_id", "name", "prefix", "created_by_user_id", "created_at_timestamp", "expires_at_timestamp", "status"}
	made := record()
	made["key"] = Schema{"type": "string", "description": "The key itself, which is shown this once."}
	return map[string]Schema{
		"Key":     Object(record(), always...),
		"KeyMade": Object(made, append(always, "key")...),
		"Keys":    List(Ref("Key")),
		"NewKey": Object(Schema{
			"name": Text(1, 100), "expires_at_timestamp": Schema{"type": "string", "format": "date-time", "description": "In the future, at most five years ahead."},
			"device_id":         Schema{"type": "string", "description": "The one device that a device credential may write for."},
			"registers_devices": Schema{"type": "boolean", "description": "Of a device credential: whether apps that it is given to may bring devices that nobody knows yet."},
			"scopes":            keyScopes("Of an API key: what it is for; all when left out."),
			"allowed_ip_ranges": keyRanges(), "requests_per_second": keyRate(),
		}, "name", "expires_at_timestamp"),
		"KeyUpdate": Object(Schema{
			"name": Text(1, 100), "scopes": keyScopes("Some of those that the key has."), "allowed_ip_ranges": keyRanges(), "requests_per_second": keyRate(),
		}),
		"KeyUsage": Object(Schema{"items": List(Object(Schema{
			"date": Date(), "api_key_id": ID(), "route": Schema{"type": "string", "description": "The path of a route that API keys may call, or other."},
			"outcome":  Schema{"enum": []string{"ok", "not_modified", "refused", "failed"}, "description": "failed: it could not be answered, or its answer broke off."},
			"requests": Integer(1, math.MaxInt64),
		}, "date", "api_key_id", "route", "outcome", "requests"))}, "items"),
		"Arrivals": Object(Schema{
			"requests": Count(), "points": Count(), "first_point_received_at_timestamp": Timestamp(), "last_point_received_at_timestamp": Timestamp(),
			"rejected": Count(), "last_rejected_at_timestamp": Timestamp(),
			"last_rejection_detail": Schema{"type": "string", "description": "Why a point could not be taken, in one sentence."},
		}, "requests", "points", "rejected"),
		"Rotation": Object(Schema{"grace_seconds": Integer(0, int(apikey.MaxGrace/time.Second)), "expires_at_timestamp": Timestamp()}, "grace_seconds"),
		"KeyEvents": Object(Schema{"items": List(Object(Schema{
			"_id": ID(), "key_id": ID(), "name": Text(1, 100), "prefix": Text(1, 16),
			"action": Schema{"enum": []string{"created", "rotated", "revoked", "updated"}}, "user_id": Text(1, 0), "at_timestamp": Timestamp(),
			"changed": Schema{"type": "array", "items": Text(1, 0), "description": "The fields that were updated."},
		}, "_id", "key_id", "name", "prefix", "action", "user_id", "at_timestamp")), "total_count": Count()}, "items", "total_count"),
	}
}

// keyScopes are scopes of a key.
func keyScopes(meaning string) Schema {
	return Schema{"type": "array", "minItems": 1, "items": Schema{"type": "string", "enum": apikey.ScopeNames()}, "description": meaning}
}

// keyRanges are the addresses from which a key is accepted.
func keyRanges() Schema {
	return Schema{
		"type": "array", "minItems": 1, "maxItems": apikey.MaxRanges, "items": Text(1, 64),
		"description": "Of an API key: ranges of addresses, in CIDR notation, from which it is accepted; any when left out.",
	}
}

// keyRate is the rate of a key of its own.
func keyRate() Schema {
	s := Integer(1, apikey.MaxRequestsPerSecond)
	s["description"] = "Of an API key: requests a second, beside the limit for all."
	return s
}

func personSchemas() map[string]Schema {
	role := Schema{"enum": []string{"owner", "administrator", "operator", "driver"}}
	return map[string]Schema{
		"SignedIn": Object(Schema{
			"user_id": Text(1, 0), "org_id": Text(1, 0), "role": role,
			"organisations": List(Object(Schema{"org_id": Text(1, 0), "role": role}, "org_id", "role")),
			"csrf_token":    Text(1, 0), "expires_at_timestamp": Timestamp(), "provider": Boolean(),
		}, "user_id", "org_id", "role", "organisations", "expires_at_timestamp", "provider"),
		"SignInOptions": Object(Schema{"provider": Boolean()}, "provider"),
		"SignInLink":    Object(Schema{"token": Text(1, 0)}, "token"),
		"Health":        Object(Schema{"status": Schema{"enum": []string{"ok", "ready"}}}, "status"),
		"Index":         Object(Schema{"service": Schema{"const": "lastseen"}, "health": Text(1, 0), "ready": Text(1, 0), "api": Text(1, 0), "points_kept_for_days": Count()}, "service", "health", "ready", "api"),
	}
}
