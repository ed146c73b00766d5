package backup_test

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"lastseen/schema"
	"lastseen/schema/backup"
	"lastseen/schema/schematest"
)

// slow skips a test that is not for every run.
func slow(t *testing.T) {
	t.Helper()
	if os.Getenv("LASTSEEN_TEST_BACKUP") == "" {
		t.Skip("make test-backup runs it")
	}
}

func TestMain(m *testing.M) { schematest.Main(m) }

// silent is a Progress.
func silent(string, int, int) {}

// repository is a place for the backups of a test.
type repository struct {
	*testing.T
	at backup.Location
}

// kinds are the kinds of repositories.
var kinds = map[string]func(t *testing.T) backup.Location{
	"folder": func(t *testing.T) backup.Location {
		return backup.Location{Address: filepath.Join(t.TempDir(), "backups")}
	},
	"bucket": func(t *testing.T) backup.Location {
		// "The BackupsIOThreadPool is not initialized", which a ClickHouse server's is.
		schematest.NotOn(t, schematest.Server, "the engine as a server in a process of its own writes no backups to S3")
		service := s3mem.New()
		server := httptest.NewServer(gofakes3.New(service).Server())
		t.Cleanup(server.Close)
		if err := service.CreateBucket("kept"); err != nil {
			t.Fatal(err)
		}
		return backup.Location{Address: "s3://kept/some/prefix", Endpoint: server.URL, KeyID: "an id", Secret: "a secret's \\ text"}
	},
}

// write makes a backup. Backups of one second have one name, so it waits for the next.
func (r *repository) write(db *schema.DB, change ...func(*backup.Order)) *backup.Manifest {
	r.Helper()
	for {
		m, err := r.try(db, change...)
		if err == nil {
			return m
		}
		if !strings.Contains(err.Error(), "file exists") && !strings.Contains(err.Error(), "wait a second") {
			r.Fatal(err)
		}
	}
}

func (r *repository) try(db *schema.DB, change ...func(*backup.Order)) (*backup.Manifest, error) {
	order := backup.Order{To: r.at, Secrets: backup.OmitSecrets, Version: "of the test"}
	for _, c := range change {
		c(&order)
	}
	return backup.Write(r.Context(), db, order, silent)
}

func incremental(o *backup.Order) { o.Incremental = true }

// restore restores a backup into a new database and returns it open, migrated, and the issuer's key.
func (r *repository) restore(name string, change ...func(*backup.RestoreOrder)) (*schema.DB, []byte) {
	r.Helper()
	db := r.empty()
	order := backup.RestoreOrder{From: r.at, Name: name, KeyFile: "issuer.key"}
	for _, c := range change {
		c(&order)
	}
	_, key, begun, err := backup.Restore(r.Context(), db, order, silent)
	if err != nil || !begun {
		r.Fatalf("restore: begun %t, %v", begun, err)
	}
	if err := db.Migrate(r.Context()); !errors.Is(err, schema.ErrRestoreCut) {
		r.Errorf("before its end the restore counts as whole: %v", err)
	}
	if err := errors.Join(db.EndRestore(r.Context()), db.Migrate(r.Context())); err != nil {
		r.Fatal(err)
	}
	return db, key
}

// empty opens a database without tables.
func (r *repository) empty() *schema.DB {
	r.Helper()
	db, err := schematest.Connected(r.Context(), r, schema.Options{Database: "test_" + schema.NewID().String(), NoFsync: true})
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		schematest.Exec(r, db, "DROP DATABASE IF EXISTS "+db.Database()+" SYNC")
		if err := db.Close(); err != nil {
			r.Error(err)
		}
	})
	return db
}

// insert writes so many points of a session.
func insert(t *testing.T, db *schema.DB, session schema.ID, from, points int) {
	t.Helper()
	batch := make([]schema.OwnedPoint, points)
	for i := range batch {
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() + int64(from+i)
		batch[i] = schema.OwnedPoint{DataPoint: schema.NewDataPoint(session, at, int32(i), int32(i)), OrgID: "org_a"}
	}
	if err := db.InsertDataPoints(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

// count counts the rows of the points' table.
func count(t *testing.T, db *schema.DB) (points uint64) {
	t.Helper()
	conn := schematest.Connect(t, db)
	defer conn.Close()
	if err := conn.QueryRow(context.Background(), "SELECT count() FROM session_by_device_data_points").Scan(&points); err != nil {
		t.Fatal(err)
	}
	return points
}

// TestABackupIsRestoredAsItWas: a whole one, and an incremental one that builds on it.
func TestABackupIsRestoredAsItWas(t *testing.T) {
	slow(t)
	schematest.NotOn(t, schematest.Sharded, "a cluster is backed up by ClickHouse's own means")
	for kind, at := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := &repository{t, at(t)}
			db, session := schematest.Open(t), schema.NewID()
			insert(t, db, session, 0, 1000)
			full := r.write(db)
			insert(t, db, session, 1000, 10)
			more := r.write(db, incremental)
			insert(t, db, session, 2000, 10)
			if more.Base != full.Name || more.Bytes >= full.Whole+full.Bytes || full.Base != "" {
				t.Errorf("the backups are %+v and %+v", full, more)
			}
			for name, want := range map[string]uint64{full.Name: 1000, more.Name: 1010} {
				restored, key := r.restore(name)
				if points := count(t, restored); points != want || key != nil {
					t.Errorf("%s restores %d points and the key %q, want %d and none", name, points, key, want)
				}
			}
			third := r.write(db, incremental)
			if third.Base != full.Name {
				t.Errorf("the next one builds on %s, want %s", third.Base, full.Name)
			}
		})
	}
}

func TestARestoreIntoADatabaseWithTablesIsRefused(t *testing.T) {
	slow(t)
	t.Parallel()
	schematest.NotOn(t, schematest.Sharded, "a cluster is backed up by ClickHouse's own means")
	r := &repository{t, kinds["folder"](t)}
	db := schematest.Open(t)
	m := r.write(db)
	_, _, begun, err := backup.Restore(t.Context(), db, backup.RestoreOrder{From: r.at, Name: m.Name}, silent)
	if begun || err == nil || !strings.Contains(err.Error(), "has tables already") {
		t.Errorf("begun %t, %v", begun, err)
	}
}

func TestAClusterIsBackedUpByItsOwnMeans(t *testing.T) {
	t.Parallel()
	schematest.OnlyOn(t, schematest.Sharded, "the others are backed up")
	r := &repository{t, kinds["folder"](t)}
	if _, err := r.try(schematest.Open(t)); err == nil || !strings.Contains(err.Error(), "ON CLUSTER") {
		t.Errorf("%v", err)
	}
}

// TestDamageOfABackupIsFound: what was changed, cut and taken away, in the backup and in what it builds on.
func TestDamageOfABackupIsFound(t *testing.T) {
	slow(t)
	t.Parallel()
	schematest.NotOn(t, schematest.Sharded, "a cluster is backed up by ClickHouse's own means")
	r := &repository{t, kinds["folder"](t)}
	db, session := schematest.Open(t), schema.NewID()
	insert(t, db, session, 0, 1000)
	full := r.write(db)
	insert(t, db, session, 1000, 10)
	m := r.write(db, incremental)
	restore := func() error {
		_, _, _, err := backup.Restore(t.Context(), r.empty(), backup.RestoreOrder{From: r.at, Name: m.Name}, silent)
		return err
	}
	for _, name := range []string{full.Name, m.Name} {
		data := longest(t, filepath.Join(r.at.Address, name))
		content, err := os.ReadFile(data)
		if err != nil {
			t.Fatal(err)
		}
		changed := bytes.Clone(content)
		changed[len(changed)/2] ^= 1
		for what, damage := range map[string]func() error{
			"changed": func() error { return os.WriteFile(data, changed, 0o600) },
			"cut":     func() error { return os.Truncate(data, int64(len(content)-1)) },
			"gone":    func() error { return os.Remove(data) },
		} {
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			if err := restore(); err == nil || !strings.Contains(err.Error(), "damaged: take another one") {
				t.Errorf("a file that is %s: %v", what, err)
			}
			if err := os.WriteFile(data, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := restore(); err != nil {
		t.Errorf("without damage: %v", err)
	}
	manifest := filepath.Join(r.at.Address, full.Name, "manifest.json")
	if err := os.Remove(manifest); err != nil {
		t.Fatal(err)
	}
	if err := restore(); err == nil || !strings.Contains(err.Error(), "no whole backup "+full.Name) {
		t.Errorf("without what it builds on: %v", err)
	}
	if _, err := r.try(db, incremental); err == nil || !strings.Contains(err.Error(), "make one without --incremental first") {
		t.Errorf("an incremental one without a whole one: %v", err)
	}
}

// longest is the longest file of data of a backup.
func longest(t *testing.T, dir string) (path string) {
	t.Helper()
	size := int64(0)
	err := filepath.WalkDir(dir, func(file string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(file, ".bin") {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Size() > size {
			size, path = info.Size(), file
		}
		return err
	})
	if err != nil || path == "" {
		t.Fatalf("no data in %s: %v", dir, err)
	}
	return path
}

func TestABackupOfANewerVersionIsRefused(t *testing.T) {
	slow(t)
	t.Parallel()
	schematest.NotOn(t, schematest.Sharded, "a cluster is backed up by ClickHouse's own means")
	r := &repository{t, kinds["folder"](t)}
	m := r.write(schematest.Open(t))
	path := filepath.Join(r.at.Address, m.Name, "manifest.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{`"schema": `, `"schema": 99`}, {`"format": `, `"format": 9`}} {
		if err := os.WriteFile(path, bytes.Replace(text, []byte(change[0]), []byte(change[1]), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, begun, err := backup.Restore(t.Context(), r.empty(), backup.RestoreOrder{From: r.at, Name: m.Name}, silent)
		if begun || err == nil || !strings.Contains(err.Error(), "newer than this one") {
			t.Errorf("%s: begun %t, %v", change[1], begun, err)
		}
	}
}

func TestTheIssuersKeyIsKeptAsAsked(t *testing.T) {
	slow(t)
	t.Parallel()
	schematest.NotOn(t, schematest.Sharded, "a cluster is backed up by ClickHouse's own means")
	file := filepath.Join(t.TempDir(), "issuer.key")
	if err := os.WriteFile(file, []byte("the key"), 0o600); err != nil {
		t.Fatal(err)
	}
	const passphrase = "correct horse battery"
	r := &repository{t, kinds["bucket"](t)}
	db := schematest.Open(t)
	with := func(secrets backup.Secrets) func(*backup.Order) {
		return func(o *backup.Order) { o.Secrets, o.Passphrase, o.Key = secrets, passphrase, file }
	}
	if _, err := r.try(db, with(backup.EncryptSecrets), func(o *backup.Order) { o.Passphrase = "short" }); err == nil || !strings.Contains(err.Error(), "12 characters") {
		t.Errorf("with a short passphrase: %v", err)
	}
	encrypted, plain := r.write(db, with(backup.EncryptSecrets)), r.write(db, with(backup.PlainSecrets))
	if _, key := r.restore(plain.Name); string(key) != "the key" {
		t.Errorf("the plain key is %q", key)
	}
	if _, key := r.restore(encrypted.Name, func(o *backup.RestoreOrder) { o.Passphrase = passphrase }); string(key) != "the key" {
		t.Errorf("the encrypted key is %q", key)
	}
	for given, want := range map[string]string{"": "give its passphrase", "another passphrase": "not the passphrase"} {
		_, _, begun, err := backup.Restore(t.Context(), r.empty(), backup.RestoreOrder{From: r.at, Name: encrypted.Name, KeyFile: "issuer.key", Passphrase: given}, silent)
		if begun || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with the passphrase %q: begun %t, %v", given, begun, err)
		}
	}
}

// TestEveryTableIsInABackup: a table that a later version adds must not be forgotten.
func TestEveryTableIsInABackup(t *testing.T) {
	t.Parallel()
	schematest.NotOn(t, schematest.Sharded, "a cluster is backed up by ClickHouse's own means")
	r := &repository{t, kinds["folder"](t)}
	db := schematest.Open(t)
	restored, _ := r.restore(r.write(db).Name)
	want, got := tables(t, db), tables(t, restored)
	if !slices.Equal(want, got) {
		t.Errorf("the restored tables are %v, want %v", got, want)
	}
}

func tables(t *testing.T, db *schema.DB) (names []string) {
	t.Helper()
	conn := schematest.Connect(t, db)
	defer conn.Close()
	const query = "SELECT groupArray(name) FROM (SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name)"
	if err := conn.QueryRow(context.Background(), query).Scan(&names); err != nil {
		t.Fatal(err)
	}
	return names
}
