package schema

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// backupOrder is in which order the tables are backed up, each set by a statement of its own: what says something of rows of
// another table comes before it, so that while the service writes on, a backup never has a checkpoint of a point, or a point of
// a session, without the row that it is about, and never fewer rows of keys than are counted. Of the keys' other tables each start
// mends what is behind in one of them.
var backupOrder = [][]table{
	{lastSeenTable, apiKeyCountsTable},
	{dataPointsTable},
	{sessionsTable},
	{devicesTable},
	{apiKeyEventsTable, apiKeyUsageTable},
	{apiKeysTable},
	{apiKeyIDsTable, spentTokensTable, schemaMigrationsTable},
}

// BackupSteps returns the tables that make a backup, those of each statement, as far as they are there: of a version before this
// one some may not be.
func (db *DB) BackupSteps(ctx context.Context) (steps [][]string, err error) {
	there := map[string]bool{}
	rows, err := db.conn.Query(ctx, "SELECT name FROM system.tables WHERE database = {database:String}", clickhouse.Named("database", db.database))
	if err != nil {
		return nil, fmt.Errorf("look which tables there are: %w", err)
	}
	err = eachStruct(rows, "look which tables there are", func(r struct {
		Name string `ch:"name"`
	}) {
		there[r.Name] = true
	})
	if err != nil {
		return nil, err
	}
	for _, tables := range backupOrder {
		var step []string
		for _, t := range tables {
			if there[t.name] {
				step = append(step, t.name)
			}
		}
		if len(step) > 0 {
			steps = append(steps, step)
		}
	}
	return steps, nil
}

// IsTableName reports whether a text that is not ours may be a table's name.
func IsTableName(text string) bool { return databaseName.MatchString(text) }

// Place is where ClickHouse keeps one step of a backup: a folder, or a prefix of keys in an S3 bucket.
type Place struct {
	// Folder is an absolute path, on the machine of ClickHouse.
	Folder string
	// URL is that of the prefix, with https:// or http://; Folder is empty then. KeyID and Secret sign requests.
	URL, KeyID, Secret string
}

// sql is the place as ClickHouse's statements have it. Parameters cannot be bound there.
func (p Place) sql() string {
	if p.Folder != "" {
		return "File(" + quoteText(p.Folder) + ")"
	}
	return "S3(" + quoteText(p.URL) + ", " + quoteText(p.KeyID) + ", " + quoteText(p.Secret) + ")"
}

var textEscapes = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// quoteText writes a text as ClickHouse's statements have it.
func quoteText(text string) string { return "'" + textEscapes.Replace(text) + "'" }

// BackupSize is what a step of a backup has.
type BackupSize struct {
	Files uint64
	Bytes uint64 // as they lie in the place, of files that are not in the base
	Whole uint64 // bytes of all files, those of the base too
}

// Backup writes the tables of one step to a place where nothing is. With a base, the same step of an earlier backup, only files that
// are not there are written. Everything that was acknowledged before is in it.
func (db *DB) Backup(ctx context.Context, tables []string, to Place, base *Place) (BackupSize, error) {
	var names []string
	for _, t := range tables {
		names = append(names, "TABLE "+db.database+"."+t)
	}
	return db.runBackup(ctx, "BACKUP "+strings.Join(names, ", ")+" TO "+to.sql(), base)
}

// Restore makes the tables of one step of a backup, which must not be there. They were in a database with another name, perhaps.
// All names must be such as IsTableName takes.
func (db *DB) Restore(ctx context.Context, tables []string, from Place, base *Place, database string) error {
	var names []string
	for _, t := range tables {
		names = append(names, "TABLE "+database+"."+t+" AS "+db.database+"."+t)
	}
	_, err := db.runBackup(ctx, "RESTORE "+strings.Join(names, ", ")+" FROM "+from.sql(), base)
	return err
}

const (
	// backupLook is the time between two looks how far ClickHouse is.
	backupLook = 50 * time.Millisecond
	// stopBackupTime bounds the end of a backup that was given up.
	stopBackupTime = 10 * time.Second
)

// runBackup runs a statement BACKUP or RESTORE beside the connection, so that nothing depends on a connection's staying open for
// as long as it takes, and waits for it. One that is given up is stopped, whatever ClickHouse was being asked at that moment.
func (db *DB) runBackup(ctx context.Context, statement string, base *Place) (size BackupSize, err error) {
	id := "lastseen-" + rand.Text()
	statement += " SETTINGS id = '" + id + "'"
	if base != nil {
		statement += ", base_backup = " + base.sql()
	}
	if err = db.conn.Exec(ctx, statement+" ASYNC"); err != nil {
		err = backupFailed(err)
	} else {
		size, err = db.awaitBackup(ctx, id)
	}
	if err != nil && ctx.Err() != nil {
		db.stopBackup(context.WithoutCancel(ctx), id)
	}
	return size, err
}

// awaitBackup waits until a backup is no longer under way, and says how it ended.
func (db *DB) awaitBackup(ctx context.Context, id string) (size BackupSize, err error) {
	look := time.NewTicker(backupLook)
	defer look.Stop()
	for {
		running, err := db.lookAtBackup(ctx, id, &size)
		if err != nil || !running {
			return size, err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return size, ctx.Err()
		}
	}
}

// lookAtBackup reports whether a backup is under way, and how it ended.
func (db *DB) lookAtBackup(ctx context.Context, id string, size *BackupSize) (running bool, err error) {
	var status, failure string
	row := db.conn.QueryRow(ctx, `SELECT toString(status), error, toUInt64(num_files), toUInt64(compressed_size), toUInt64(total_size)
FROM system.backups WHERE id = {id:String} ORDER BY start_time DESC LIMIT 1`, clickhouse.Named("id", id))
	if err := row.Scan(&status, &failure, &size.Files, &size.Bytes, &size.Whole); err != nil {
		return false, fmt.Errorf("ask how far a backup is: %w", err)
	}
	switch status {
	case "CREATING_BACKUP", "RESTORING":
		return true, nil
	case "BACKUP_CREATED", "RESTORED":
		return false, nil
	}
	return false, backupFailed(errors.New(failure))
}

// stopBackup has ClickHouse give a backup up and waits until it has.
func (db *DB) stopBackup(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, stopBackupTime)
	defer cancel()
	// Who may make backups may always end those of their own.
	if db.conn.Exec(ctx, "KILL QUERY WHERE query_id IN (SELECT query_id FROM system.backups WHERE id = {id:String}) ASYNC", clickhouse.Named("id", id)) == nil {
		_, _ = db.awaitBackup(ctx, id) // it was given up, whatever is said of it
	}
}

// backupFailed says what to do about errors of which ClickHouse's own words do not.
func backupFailed(err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "allowed_path"), strings.Contains(text, "is not allowed for backups"):
		return errors.New("ClickHouse may not keep backups in that folder: name it, or one above it, as backups.allowed_path in the server's configuration, or use s3://")
	case strings.Contains(text, "ACCESS_DENIED"):
		return fmt.Errorf("the user of ClickHouse may not make or restore backups (docs/operating.md, backups, lists the rights): %w", err)
	}
	return fmt.Errorf("ClickHouse could not do it: %w", err)
}

// StoredBytes is how much of ClickHouse's disk the tables take.
func (db *DB) StoredBytes(ctx context.Context) (bytes uint64, err error) {
	err = db.conn.QueryRow(ctx, "SELECT toUInt64(sum(bytes_on_disk)) FROM system.parts WHERE active AND database = {database:String}",
		clickhouse.Named("database", db.database)).Scan(&bytes)
	if err != nil {
		return 0, fmt.Errorf("ask how much the tables take: %w", err)
	}
	return bytes, nil
}

// Version is the schema version of the tables; 0 where there are none.
func (db *DB) Version(ctx context.Context) (version uint32, err error) {
	var found uint64
	if found, err = db.countTables(ctx, schemaMigrationsTable.name); err != nil || found == 0 {
		return 0, err
	}
	return db.migrated(ctx)
}

// countTables counts the tables of the database, or those with a name.
func (db *DB) countTables(ctx context.Context, name string) (found uint64, err error) {
	err = db.conn.QueryRow(ctx, "SELECT count() FROM system.tables WHERE database = {database:String} AND ({name:String} = '' OR name = {name:String})",
		clickhouse.Named("database", db.database), clickhouse.Named("name", name)).Scan(&found)
	if err != nil {
		return 0, fmt.Errorf("look which tables there are: %w", err)
	}
	return found, nil
}

// restoringTable is there while a restore is under way, and so after one that was cut short.
const restoringTable = "restore_unfinished"

// ErrRestoreCut says that a restore into the database was cut short.
var ErrRestoreCut = errors.New("a restore into this database was cut short, so that it has only a part of the backup: drop the database, and restore again")

// BeginRestore marks the database as one into which a restore is under way. It refuses one that has tables.
func (db *DB) BeginRestore(ctx context.Context) error {
	if err := db.CheckBackup(); err != nil {
		return err
	}
	found, err := db.countTables(ctx, "")
	if err != nil {
		return err
	}
	if found > 0 {
		return fmt.Errorf("the database %s has tables already, and a backup is restored into an empty one only: give another one, or drop it first", db.database)
	}
	if err := db.conn.Exec(ctx, "CREATE TABLE "+restoringTable+" (at DateTime) ENGINE = TinyLog"); err != nil {
		return fmt.Errorf("mark the database as being restored: %w", err)
	}
	return nil
}

// EndRestore takes the mark away: the restore is whole.
func (db *DB) EndRestore(ctx context.Context) error {
	if err := db.conn.Exec(ctx, "DROP TABLE "+restoringTable+" SYNC"); err != nil {
		return fmt.Errorf("mark the database as restored: %w", err)
	}
	return nil
}

// checkRestored refuses a database into which a restore was cut short.
func (db *DB) checkRestored(ctx context.Context) error {
	found, err := db.countTables(ctx, restoringTable)
	if err == nil && found > 0 {
		err = ErrRestoreCut
	}
	return err
}

// errClusterBackup says that backups of clusters are ClickHouse's own.
var errClusterBackup = errors.New("a cluster is backed up and restored by ClickHouse's own means, BACKUP DATABASE … ON CLUSTER, not by this command")

// CheckBackup says why no backup can be made of this layout.
func (db *DB) CheckBackup() error {
	if db.layout.cluster != "" {
		return errClusterBackup
	}
	return nil
}

// CheckTables has ClickHouse hold every part of some tables against its checksums, and fails where one is damaged.
func (db *DB) CheckTables(ctx context.Context, tables []string) error {
	for _, t := range tables {
		rows, err := db.conn.Query(ctx, "CHECK TABLE "+t+" SETTINGS check_query_single_value_result = 0")
		if err != nil {
			return fmt.Errorf("check the table %s: %w", t, err)
		}
		var damage error
		err = eachStruct(rows, "check the table "+t, func(r struct {
			Part    string `ch:"part_path"`
			Passed  bool   `ch:"is_passed"`
			Message string `ch:"message"`
		}) {
			if !r.Passed {
				damage = fmt.Errorf("the part %s of the table %s is damaged: %s", r.Part, t, r.Message)
			}
		})
		if err := errors.Join(err, damage); err != nil {
			return err
		}
	}
	return nil
}
