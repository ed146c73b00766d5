package schema

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// bind binds a place in S3 to the parameters of bucketObjects.
func (p Place) bind() []any {
	return []any{clickhouse.Named("url", p.URL), clickhouse.Named("key", p.KeyID), clickhouse.Named("secret", p.Secret)}
}

// fewAttempts makes ClickHouse say soon that a bucket is out of reach: by itself it tries for many minutes.
const fewAttempts = "SETTINGS s3_retry_attempts = 3"

// Objects returns the sizes in bytes of the objects of a bucket that match a place, whose URL may have the patterns *, **, ? and
// {a,b}, by their path from the bucket on.
func (db *DB) Objects(ctx context.Context, place Place) (map[string]uint64, error) {
	rows, err := db.conn.Query(ctx, `SELECT _path AS path, toUInt64(assumeNotNull(_size)) AS size FROM s3({url:String}, {key:String}, {secret:String}, 'One', 'dummy UInt8') `+fewAttempts, place.bind()...)
	if err != nil {
		return nil, bucketFailed(err)
	}
	objects := map[string]uint64{}
	err = eachStruct(rows, "look into the bucket", func(r struct {
		Path string `ch:"path"`
		Size uint64 `ch:"size"`
	}) {
		objects[r.Path] = r.Size
	})
	return objects, err
}

// ReadObject returns a small object that matches a place as that of Objects does.
func (db *DB) ReadObject(ctx context.Context, place Place) (content []byte, found bool, err error) {
	rows, err := db.conn.Query(ctx, `SELECT raw_blob FROM s3({url:String}, {key:String}, {secret:String}, 'RawBLOB', 'raw_blob String') `+fewAttempts, place.bind()...)
	if err != nil {
		return nil, false, bucketFailed(err)
	}
	err = eachStruct(rows, "read from the bucket", func(r struct {
		Content string `ch:"raw_blob"`
	}) {
		content, found = []byte(r.Content), true
	})
	return content, found, err
}

// WriteObject writes a small object.
func (db *DB) WriteObject(ctx context.Context, place Place, content []byte) error {
	err := db.conn.Exec(ctx, `INSERT INTO FUNCTION s3({url:String}, {key:String}, {secret:String}, 'RawBLOB', 'raw_blob String') `+fewAttempts+` SELECT {content:String}`,
		append(place.bind(), clickhouse.Named("content", string(content)))...)
	if err != nil {
		return bucketFailed(err)
	}
	return nil
}

func bucketFailed(err error) error {
	return fmt.Errorf("ClickHouse could not use the bucket; look at its name, --s3-endpoint and the access key: %w", err)
}
