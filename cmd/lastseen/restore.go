package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"lastseen/cmd/lastseen/terminal"
	"lastseen/keys/people"
	"lastseen/schema"
	"lastseen/schema/backup"
)

// restoreMark is the file in a data directory into which a restore is under way, and so in one into which it was cut short.
const restoreMark = "restore-unfinished"

// restoreCommand makes a data directory, or the tables on a ClickHouse server, of a backup.
type restoreCommand struct {
	From             string `required:"" env:"LASTSEEN_RESTORE_FROM" placeholder:"DIR/NAME|s3://BUCKET/PREFIX/NAME" help:"The backup, as 'lastseen backup' has printed it."`
	DataDir          string `default:"lastseen-data" placeholder:"DIR" help:"Data directory to make, which must be absent or empty (default ${default})."`
	Keys             string `env:"LASTSEEN_RESTORE_KEYS" default:"restore" enum:"restore,omit" help:"Whether the issuer's key is restored, where the backup has it: restore or omit (default ${default})."`
	backupStoreFlags `embed:""`
}

// Run implements the command.
func (c *restoreCommand) Run(ctx context.Context, std streams) error {
	location, err := c.location(c.From)
	if err != nil {
		return err
	}
	passphrase, err := c.passphrase()
	if err != nil {
		return err
	}
	order := backup.RestoreOrder{Name: path.Base(filepath.ToSlash(location.Address)), OmitSecrets: c.Keys == "omit", Passphrase: passphrase, KeyFile: people.IssuerFile, From: location}
	order.From.Address = strings.TrimSuffix(strings.TrimRight(location.Address, "/"), "/"+order.Name)
	m, err := c.restore(ctx, order, sayProgress(std.err))
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if m.Secrets == backup.OmitSecrets || order.OmitSecrets {
		terminal.Say(std.err, "lastseen: the issuer's key was not restored: the next start makes a new one, and people sign in again")
	}
	_, err = fmt.Fprintf(std.out, "restored the backup %s of %s; start the service on %s\n", m.Name, m.Began.Format("2006-01-02 15:04:05 MST"), c.DataDir)
	return err
}

// restore restores a backup into an empty directory. A mark in the directory says from the first moment to the last that it has
// only a part. What fails leaves the directory as it was found.
func (c *restoreCommand) restore(ctx context.Context, order backup.RestoreOrder, progress backup.Progress) (m *backup.Manifest, err error) {
	if err := c.takeEmpty(order); err != nil {
		return nil, err
	}
	mark := filepath.Join(c.DataDir, restoreMark)
	m, err = c.restoreTables(ctx, order, progress)
	if err == nil {
		err = backup.SyncDisk(c.DataDir) // before the mark goes that says that not all is there
	}
	if err == nil {
		return m, errors.Join(os.Remove(mark), backup.SyncFolder(c.DataDir))
	}
	entries, _ := os.ReadDir(c.DataDir)
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(c.DataDir, entry.Name())))
	}
	return nil, err
}

// takeEmpty makes the data directory, refuses one in which there is anything, and marks it.
func (c *restoreCommand) takeEmpty(order backup.RestoreOrder) error {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	entries, err := os.ReadDir(c.DataDir)
	if err != nil {
		return fmt.Errorf("look into the data directory: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("the data directory %s is not empty, and a backup is restored into an empty one only: give another --data-dir, or move it away", c.DataDir)
	}
	file, err := os.OpenFile(filepath.Join(c.DataDir, restoreMark), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("mark the data directory: %w", err)
	}
	_, err = fmt.Fprintln(file, order.Name)
	if err := errors.Join(err, file.Sync(), file.Close(), backup.SyncFolder(c.DataDir)); err != nil {
		return fmt.Errorf("mark the data directory: %w", err)
	}
	return nil
}

// restoreTables makes the tables, and keeps the issuer's key where there is one.
func (c *restoreCommand) restoreTables(ctx context.Context, order backup.RestoreOrder, progress backup.Progress) (m *backup.Manifest, err error) {
	db, err := schema.Open(ctx, c.storage(c.DataDir))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	m, key, begun, err := backup.Restore(ctx, db, order, progress)
	if err != nil {
		if begun && c.ClickHouse != schema.Embedded {
			err = fmt.Errorf("%w; drop the database %s on the server, which has a part of the backup, before you try again", err, db.Database())
		}
		return nil, err
	}
	if key != nil {
		if err := os.WriteFile(filepath.Join(c.DataDir, people.IssuerFile), key, 0o600); err != nil {
			return nil, fmt.Errorf("keep the issuer's key: %w", err)
		}
	}
	return m, db.EndRestore(ctx)
}

// checkRestored refuses a data directory into which a restore was cut short.
func checkRestored(dataDir string) error {
	_, err := os.Stat(filepath.Join(dataDir, restoreMark))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into the data directory: %w", err)
	}
	return fmt.Errorf("a restore into %s was cut short, so that it has only a part of the backup: delete the directory, and run 'lastseen restore' again", dataDir)
}
